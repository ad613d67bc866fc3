"""`openai-costs migrate`: brings the database up to this release, and does nothing else."""

from __future__ import annotations

import click


@click.command()
def migrate() -> None:
    """Make the tables, or bring them up to this release, Dagster's as well; reads nothing from OpenAI.

    For whoever owns the schemas, where the other commands run as someone who may not change them.
    """
    from openai_costs_dagster.configuration import load
    from openai_costs_dagster.orchestration import migration, server
    from openai_costs_dagster.version import __version__

    configuration = load()
    database = server.database(configuration)
    migration.migrate(configuration, database)
    click.echo(f"{database.safe_url} is at {__version__}")
