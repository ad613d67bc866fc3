"""`openai-costs backfill`: reads ranges of days through Dagster's partitions, with or without a daemon."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from openai_costs_dagster.cli.errors import InputMistake
from openai_costs_dagster.days import DayRange, utc_now

if TYPE_CHECKING:
    from openai_costs_dagster.cli.console import ProgressBar
    from openai_costs_dagster.cli.session import Session
    from openai_costs_dagster.configuration import Organization
    from openai_costs_dagster.orchestration.runs.worker_pool import Result, Step, Task


class Day(click.ParamType[dt.date]):
    """A date as in 2026-01-31."""

    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """Reads a date or says what one looks like."""
        if isinstance(value, dt.date):
            return value
        try:
            return dt.date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no date as in 2026-01-31", param, ctx)


@click.command()
@click.option("--org", "organizations", multiple=True, metavar="N", help="Only this organization; may be repeated.")
@click.option("--from", "first", type=Day(), metavar="D", help="First UTC day; default: as far back as the API serves.")
@click.option("--to", "last", type=Day(), metavar="D", help="Last UTC day, inclusive; default: today.")
@click.pass_context
def backfill(
    context: click.Context, organizations: tuple[str, ...], first: dt.date | None, last: dt.date | None
) -> None:
    """Read days again, in processes of its own; exit 1 if any day failed."""
    from openai_costs_dagster.cli.session import open_session, selected_organizations
    from openai_costs_dagster.configuration import load

    today = utc_now().date()
    _validate_range(first, last, today)
    configuration = load()
    wanted = selected_organizations(configuration, organizations)
    session = open_session(configuration)
    session.database.check_privileges()
    try:
        results = run_backfill(session, wanted, first, last or today)
    except KeyboardInterrupt as error:
        error.add_note("windows that were already stored are kept")
        raise
    context.exit(0 if all(result.success or _only_outside_retention(result, first) for result in results) else 1)


def run_backfill(
    session: Session, organizations: Sequence[Organization], first: dt.date | None, last: dt.date
) -> list[Result]:
    """Backfills organizations side by side and says how it goes.

    Raises InputMistake where a day lies before an organization's history.
    """
    from openai_costs_dagster.orchestration.runs.worker_pool import Result, Task, backfill_tags
    from openai_costs_dagster.sync.onboarding import start_dates

    starts, unreachable = start_dates(organizations, session.database)
    results = [Result(name, success=False, error=error) for name, error in unreachable.items()]
    for result in results:
        click.echo(f"{result.organization}: nothing was read: {result.error}", err=True)
    tasks = [
        Task(
            organization.name, _days_to_read(organization.name, starts[organization.name], first, last), backfill_tags()
        )
        for organization in organizations
        if organization.name in starts
    ]
    return results + run_tasks(session, tasks, "backfill") if tasks else results


def run_tasks(session: Session, tasks: Sequence[Task], title: str) -> list[Result]:
    """Runs tasks with a progress bar and a line for each result."""
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
    end_abandoned_runs(session)  # a worker that was killed has left its run behind
    return results


def _show(progress: ProgressBar, step: Step) -> None:
    if step.message:
        progress.print_line(step.message)
    progress.advance(step.days)


def _only_outside_retention(result: Result, first: dt.date | None) -> bool:
    """Whether nothing failed but days before what the API serves, for which nobody asked by date."""
    return first is None and result.error is None and set(result.failed) == set(result.outside_retention)


def end_abandoned_runs(session: Session) -> None:
    """Ends the runs that no process executes any more, and names them on standard error.

    If the database refuses to store that, as with a full disk, the next command tries again.
    """
    import os

    import dagster as dg
    from sqlalchemy.exc import DBAPIError

    from openai_costs_dagster.orchestration.runs import worker_pool

    os.environ.update(session.environment)  # Dagster reads its instance from the environment alone
    try:
        with dg.DagsterInstance.get() as instance:
            for sentence in worker_pool.end_abandoned_runs(instance, session.configuration.asset_key_prefix, utc_now()):
                click.echo(sentence, err=True)
    except DBAPIError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        click.echo(f"runs without a process could not be ended: {reason}", err=True)


def _validate_range(first: dt.date | None, last: dt.date | None, today: dt.date) -> None:
    if first and last and last < first:
        raise InputMistake(f"--from {first} lies after --to {last}: swap them")
    for option, day in (("--from", first), ("--to", last)):
        if day and day > today:
            raise InputMistake(f"{option} {day} lies in the future: today is {today} in UTC, the last day there is")


def _days_to_read(organization: str, start: dt.date, first: dt.date | None, last: dt.date) -> DayRange:
    if first and first < start:
        raise InputMistake(
            f"{organization}: {first} is before {start}, where its history begins "
            "(its start_date, or the earliest day that the API served on first contact): use --from "
            f"{start} or later"
        )
    from openai_costs_dagster.sync.history_start import fallback_start

    if last < start:
        raise InputMistake(f"{organization}: {last} is before {start}, where its history begins: use a later --to")
    served = max(start, min(fallback_start(utc_now().date()), last))  # older days cannot be read again
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
    """As in ``$1,850.00 and 90,000.00 JPY``: different currencies are never added."""
    from decimal import Decimal

    from openai_costs_dagster.spend.money import dollars

    return " and ".join([dollars(Decimal(result.spend)), *result.other_spend])
