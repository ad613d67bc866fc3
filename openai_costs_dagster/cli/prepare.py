"""`openai-costs prepare`: creates or migrates all tables before other services of a deployment start."""

from __future__ import annotations

import click


@click.command()
def prepare() -> None:
    """Create or migrate the tables of costs and of Dagster.

    Deployments run this command before they start other services.
    """
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.orchestration.runtime.preparation import prepare_dagster

    session = open_session()
    prepare_dagster(session.database, session.environment)
    click.echo(f"{session.database.safe_url} is ready")
