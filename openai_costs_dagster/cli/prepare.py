"""`openai-costs prepare`: the tables, before anything that needs them starts."""

from __future__ import annotations

import click


@click.command()
def prepare() -> None:
    """Make or migrate the costs' tables and Dagster's, and end; for what starts processes in an order."""
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.orchestration.runtime.preparation import prepare_dagster

    session = open_session()
    prepare_dagster(session.database, session.environment)
    click.echo(f"{session.database.safe_url} is ready")
