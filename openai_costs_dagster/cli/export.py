"""`openai-costs export focus`: writes the costs of a month as FOCUS rows for other FinOps tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from openai_costs_dagster.cli.errors import InputMistake
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.warehouse.focus import Month

if TYPE_CHECKING:
    from openai_costs_dagster.report.focus_export import ExportResult


class MonthType(click.ParamType[Month]):
    """The option type of a month, for example 2026-03."""

    name = "month"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Month:
        """Parse a month."""
        try:
            return Month.parse(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a month; write it as 2026-03", param, ctx)


@click.group()
def export() -> None:
    """Export stored costs to files for other tools."""


@export.command()
@click.option("--month", required=True, type=MonthType(), metavar="YYYY-MM", help="The UTC month.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Output file; must end in .csv or .parquet.",
)
@click.option("--org", "organizations", multiple=True, metavar="N", help="Only this organization; may be repeated.")
def focus(month: Month, out: Path, organizations: tuple[str, ...]) -> None:
    """Write the costs of a month as FOCUS 1.2 rows with exact amounts.

    The file name's ending selects CSV or Parquet.
    """
    from openai_costs_dagster.cli.console import print_line
    from openai_costs_dagster.cli.session import open_session, selected_organizations
    from openai_costs_dagster.configuration import load
    from openai_costs_dagster.report import focus_export as report
    from openai_costs_dagster.report.focus_files import format_of
    from openai_costs_dagster.warehouse.focus import Selection

    today = utc_now().date()
    if month > Month.of(today):
        raise InputMistake(f"--month {month} is in the future: today is {today} in UTC")
    # A wrong ending of the file name must be reported before the database is opened.
    format_of(out)
    configuration = load()
    names = [one.name for one in selected_organizations(configuration, organizations)]
    with open_session(configuration).database.connect() as connection:
        exported = report.export(connection, Selection(month, names), [out], today=today)
    for line in _lines(exported, out):
        print_line(line)


def _lines(exported: ExportResult, out: Path) -> list[str]:
    sums = ", ".join(f"{billed:f} {currency}" for currency, billed in exported.billed.items()) or "nothing billed"
    lines = [f"{exported.wanted.month}: {exported.rows:,} rows, {sums}: {out}"]
    if exported.days.left_out:
        lines.append(f"left out: {exported.days.left_out:,} rows without an amount")
    lines.append("the month is provisional: it may still change" if exported.provisional else "the month is settled")
    return lines
