"""`openai-costs report`: the spend report, one HTML page."""

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
    help="Where the page goes.",
)
def report(out: Path) -> None:
    """Write the spend report: one page that needs no network, to open, send and print.

    Spend by day, month to date with budgets and forecast, movers, anomalies, users and keys, unit costs, freshness;
    filtered in the page by organization, project, model, user and period.
    """
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.report.page import write_report

    session = open_session()
    written = write_report(out, session.configuration, session.database, utc_now())
    click.echo(f"{written.path}: {written.size_bytes / 1e6:.1f} MB, {written.first_day} to {written.last_day}")
