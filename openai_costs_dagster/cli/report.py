"""`openai-costs report`: writes the spend report as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from openai_costs_dagster.days import utc_now

DEFAULT_FILE = "openai-spend.html"


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_FILE,
    show_default=True,
    metavar="FILE",
    help="Output file.",
)
def report(out: Path) -> None:
    """Write the spend report, one HTML page that works without a network.

    It shows spend by day, month to date with budgets and forecast, largest changes, anomalies, users and keys, unit
    costs and data freshness. The page has filters for organization, project, model, user and period.
    """
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.report.page import write_report

    session = open_session()
    written = write_report(out, session.configuration, session.database, utc_now())
    click.echo(f"{written.path}: {written.size_bytes / 1e6:.1f} MB, {written.first_day} to {written.last_day}")
