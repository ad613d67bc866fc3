"""`openai-costs export focus`: a month's bill as other FinOps tools read it."""

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
    """A month as in 2026-03."""

    name = "month"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Month:
        """Reads a month or says what one looks like."""
        try:
            return Month.parse(str(value))
        except ValueError:
            self.fail(f"{value!r} is no month as in 2026-03", param, ctx)


@click.group()
def export() -> None:
    """Write what is stored to files that other tools read."""


@export.command()
@click.option("--month", required=True, type=MonthType(), metavar="YYYY-MM", help="Which UTC month.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Where to; ends in .csv or .parquet."
)
@click.option("--org", "organizations", multiple=True, metavar="N", help="Only this organization; may be repeated.")
def focus(month: Month, out: Path, organizations: tuple[str, ...]) -> None:
    """Write a month as FOCUS 1.2 rows, CSV or Parquet by the file's ending; amounts are exact."""
    from openai_costs_dagster.cli.session import open_session, selected_organizations
    from openai_costs_dagster.configuration import load
    from openai_costs_dagster.report import focus_export as report
    from openai_costs_dagster.report.focus_files import format_of
    from openai_costs_dagster.warehouse.focus import Selection

    today = utc_now().date()
    if month > Month.of(today):
        raise InputMistake(f"--month {month} lies in the future: today is {today} in UTC")
    format_of(out)
    configuration = load()
    names = [one.name for one in selected_organizations(configuration, organizations)]
    with open_session(configuration).database.connect() as connection:
        exported = report.export(connection, Selection(month, names), [out])
    for line in _lines(exported, out):
        click.echo(line)


def _lines(exported: ExportResult, out: Path) -> list[str]:
    sums = ", ".join(f"{billed:f} {currency}" for currency, billed in exported.billed.items()) or "nothing billed"
    lines = [f"{exported.wanted.month}: {exported.rows:,} rows, {sums}: {out}"]
    if exported.days.left_out:
        lines.append(f"left out: {exported.days.left_out:,} rows without an amount")
    lines.append("the month is provisional: it may still change" if exported.provisional else "the month is settled")
    return lines
