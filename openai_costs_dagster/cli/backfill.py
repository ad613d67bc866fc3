"""`openai-costs backfill`: reads ranges of days as Dagster runs. No daemon is required."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from openai_costs_dagster.cli.errors import InputMistake
from openai_costs_dagster.days import DayRange, utc_now
from openai_costs_dagster.display_text import printable

if TYPE_CHECKING:
    from openai_costs_dagster.cli.console import ProgressBar
    from openai_costs_dagster.cli.session import Session
    from openai_costs_dagster.configuration import Organization
    from openai_costs_dagster.orchestration.runs.worker_pool import Result, Step, Task


class Day(click.ParamType[dt.date]):
    """The option type of a date, for example 2026-01-31."""

    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """Parse a date."""
        if isinstance(value, dt.date):
            return value
        try:
            return dt.date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a date; write it as 2026-01-31", param, ctx)


@click.command()
@click.option("--org", "organizations", multiple=True, metavar="N", help="Only this organization; may be repeated.")
@click.option(
    "--from", "first", type=Day(), metavar="D", help="First UTC day; default: the first day that OpenAI still serves."
)
@click.option("--to", "last", type=Day(), metavar="D", help="Last UTC day, inclusive; default: today.")
@click.pass_context
def backfill(
    context: click.Context, organizations: tuple[str, ...], first: dt.date | None, last: dt.date | None
) -> None:
    """Read days from OpenAI and store them, replacing stored days.

    Exits with 1 if a day failed.
    """
    from openai_costs_dagster.cli.session import open_session, selected_organizations
    from openai_costs_dagster.configuration import load

    today = utc_now().date()
    # Invalid input must be reported before the embedded server is started.
    _validate_range(first, last, today)
    configuration = load()
    wanted = selected_organizations(configuration, organizations)
    session = open_session(configuration)
    # A missing privilege would otherwise become visible only after days were requested from OpenAI.
    session.database.check_privileges()
    try:
        results = run_backfill(session, wanted, first, last or today)
    except KeyboardInterrupt as error:
        error.add_note("days that were already stored remain")
        raise
    context.exit(0 if all(result.success or _only_outside_retention(result, first) for result in results) else 1)


def run_backfill(
    session: Session, organizations: Sequence[Organization], first: dt.date | None, last: dt.date
) -> list[Result]:
    """Backfill organizations in parallel and print the progress.

    Raises `InputMistake` if `first` is before the history of an organization.
    """
    from openai_costs_dagster.orchestration.runs.worker_pool import Result, Task, backfill_tags
    from openai_costs_dagster.sync.onboarding import start_dates

    starts, unreachable = start_dates(organizations, session.database)
    # An organization whose API cannot be reached must not stop the backfill of the others.
    results = [Result(name, success=False, error=error) for name, error in unreachable.items()]
    for result in results:
        click.echo(printable(f"{result.organization}: nothing was read: {result.error}"), err=True)
    tasks = [
        Task(
            organization.name, _days_to_read(organization.name, starts[organization.name], first, last), backfill_tags()
        )
        for organization in organizations
        if organization.name in starts
    ]
    return results + run_tasks(session, tasks, "backfill") if tasks else results


def run_tasks(session: Session, tasks: Sequence[Task], title: str) -> list[Result]:
    """Run tasks with a progress bar and print a line for each result."""
    from openai_costs_dagster.cli.console import progress_bar
    from openai_costs_dagster.orchestration.runs.worker_pool import run_all

    results: list[Result] = []
    end_abandoned_runs(session)
    with progress_bar(title, sum(len(task.days) for task in tasks)) as progress:
        for result in run_all(
            tasks,
            environment=session.environment,
            log_file=session.log_file,
            on_step=lambda step: _show(progress, step),
        ):
            results.append(result)
            for line in _result_lines(result):
                progress.print_line(line)
    # Without this call, the run of a killed worker would stay in the state STARTED.
    end_abandoned_runs(session)
    return results


def _show(progress: ProgressBar, step: Step) -> None:
    if step.message:
        progress.print_line(step.message)
    progress.advance(step.days)


def _only_outside_retention(result: Result, first: dt.date | None) -> bool:
    """Return whether all failed days are older than OpenAI's retention, in a backfill without --from."""
    # Without --from, the first requested day is an estimate of what OpenAI serves, so a refusal of older days is
    # expected.
    return first is None and result.error is None and set(result.failed) == set(result.outside_retention)


def end_abandoned_runs(session: Session) -> None:
    """End the runs whose process is gone and print them to standard error.

    If the database cannot store the result, for example because the disk is full, the next command tries again.
    """
    import os

    import dagster as dg
    from dagster_postgres.utils import DagsterPostgresException
    from sqlalchemy.exc import DBAPIError

    from openai_costs_dagster.orchestration.runs import worker_pool
    from openai_costs_dagster.orchestration.runtime.storage_session import storage_failure

    # `DagsterInstance.get` finds the instance only through environment variables of this process.
    os.environ.update(session.environment)
    try:
        with dg.DagsterInstance.get() as instance:
            for message in worker_pool.end_abandoned_runs(instance, session.configuration.asset_key_prefix, utc_now()):
                click.echo(printable(message), err=True)
    except (DBAPIError, DagsterPostgresException) as error:
        failure = storage_failure(error)
        if failure is None:
            raise
        click.echo(printable(f"runs without a process could not be ended: {failure}"), err=True)


def _validate_range(first: dt.date | None, last: dt.date | None, today: dt.date) -> None:
    if first and last and last < first:
        raise InputMistake(f"--from {first} is after --to {last}: swap them")
    for option, day in (("--from", first), ("--to", last)):
        if day and day > today:
            raise InputMistake(f"{option} {day} is in the future: the last possible day is today, {today} in UTC")


def _days_to_read(organization: str, start: dt.date, first: dt.date | None, last: dt.date) -> DayRange:
    if first and first < start:
        raise InputMistake(
            f"{organization}: {first} is before {start}, where its history begins "
            "(its start_date, or the earliest day that OpenAI served at its onboarding): use --from "
            f"{start} or later"
        )
    from openai_costs_dagster.sync.history_start import fallback_start

    if last < start:
        raise InputMistake(f"{organization}: {last} is before {start}, where its history begins: use a later --to")
    # Without --from, the backfill starts no earlier than the day that `fallback_start` estimates, because OpenAI no
    # longer serves older days.
    served = max(start, min(fallback_start(utc_now().date()), last))
    return DayRange(first or served, last)


def _result_lines(result: Result) -> list[str]:
    notes = [f"  {note}" for note in result.notes]
    if result.success:
        stored = f"{result.stored} days stored, {_spend(result)}, {result.requests} requests"
        return [f"{result.organization}: {stored}", *notes]
    lines = [f"{result.organization}: {len(result.failed)} days failed, {result.stored} stored"]
    reasons: dict[str, list[dt.date]] = {}
    for day, reason in result.failed.items():
        reasons.setdefault(reason, []).append(dt.date.fromisoformat(day))
    for reason, days in reasons.items():
        lines.append(f"  {', '.join(map(str, DayRange.covering(days)))}: {reason}")
    if result.error:
        lines.append(f"  {result.error}")
    return lines + notes


def _spend(result: Result) -> str:
    """Return the spend by currency, for example ``$1,850.00 and 90,000.00 JPY``."""
    from decimal import Decimal

    from openai_costs_dagster.spend.money import dollars

    return " and ".join([dollars(Decimal(result.spend)), *result.other_spend])
