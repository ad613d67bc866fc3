"""`openai-costs forget-user`: clears a person's name and address everywhere; amounts stay."""

from __future__ import annotations

import click

from openai_costs_dagster.cli.errors import InputMistake


@click.command(name="forget-user")
@click.argument("user", metavar="USER")
def forget_user(user: str) -> None:
    """Clear the name and address of USER (an id or an address) in all organizations, raw pages included.

    Amounts stay under the id, and no later answer brings name or address back.
    """
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.days import utc_now
    from openai_costs_dagster.report import locations
    from openai_costs_dagster.warehouse import directory
    from openai_costs_dagster.warehouse import forget_user as warehouse_forget_user

    session = open_session()
    with session.database.connect() as connection:
        found = directory.find_users(connection, user)
    if not found:
        raise InputMistake(f"there is no user {user!r}, neither by id nor by address; ids begin with user-")
    for user_id in found:
        gone = warehouse_forget_user.forget_user(session.database, user_id, utc_now(), on_wait=click.echo)
        click.echo(
            f"{user_id} is forgotten: {gone.names} names and addresses, {gone.pages} raw pages, "
            f"{gone.texts} other texts; amounts stay"
        )
    locations.delete_report(session.configuration)
