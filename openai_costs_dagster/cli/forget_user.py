"""`openai-costs forget-user`: deletes a person's name and email address everywhere. Amounts remain."""

from __future__ import annotations

import click

from openai_costs_dagster.cli.errors import InputMistake


@click.command(name="forget-user")
@click.argument("user", metavar="USER")
def forget_user(user: str) -> None:
    """Delete the name and email address of USER (an id or an address) in all organizations and raw responses.

    Amounts remain under the id. Later responses do not restore the name or the address.
    """
    from openai_costs_dagster.cli.console import print_line
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.days import utc_now
    from openai_costs_dagster.report import locations
    from openai_costs_dagster.warehouse import directory
    from openai_costs_dagster.warehouse import forget_user as warehouse_forget_user

    session = open_session()
    with session.database.connect() as connection:
        found = directory.find_users(connection, user)
    if not found:
        raise InputMistake(f"there is no user {user!r}, neither by id nor by email address; ids begin with user-")
    # One email address can belong to several user ids.
    for user_id in found:
        gone = warehouse_forget_user.forget_user(session.database, user_id, utc_now(), on_wait=print_line)
        click.echo(
            f"{user_id} is forgotten: {gone.names} names and addresses, {gone.pages} raw responses, "
            f"{gone.texts} other texts; amounts remain"
        )
    # The report file was written before the names were deleted, so it may still contain them.
    locations.delete_report(session.configuration)
