"""Synchronizes an organization's costs from the OpenAI Admin API into Postgres.

`ingest_costs` splits the requested days into windows. A window is a range of days that one query covers. Each window
passes through four steps:

1. Request: `served_groupings.py` plans the query with the finest grouping that OpenAI serves for the days.
2. Parse: `cost_window.py` fetches the pages (`api/costs.py`), adds up each day's rows (`spend/daily_bill.py`) and
   copies the rows into a staging table.
3. Reconcile: `cost_window.py` also requests the same days without grouping. It compares each day's total of the grouped
   response with the ungrouped total (`spend/reconciliation.py`), and fetches days with different totals once more.
4. Store: `_store_window` classifies the line items (`spend/line_items.py`) and replaces the window's days in one
   transaction (`warehouse/costs.py`).

If a window fails, the costs that were stored for its days before stay unchanged, and the other windows continue.
`outcome.py` defines the result of each day. This module does not import Dagster; the Dagster asset in
`orchestration/assets/costs.py` calls `ingest_costs`.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.costs import OrganizationGuard
from openai_costs_dagster.api.groupings import QueryWindow, merge_query_windows
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.configuration.secret import SecretUnavailable
from openai_costs_dagster.cost_records import GROUPINGS, US_DOLLARS, grouping_name, parse_grouping
from openai_costs_dagster.days import ONE_DAY, DayRange, utc_now
from openai_costs_dagster.privacy import response_cleaner, scrub_name
from openai_costs_dagster.records import Trigger
from openai_costs_dagster.spend import line_items, money
from openai_costs_dagster.sync import failure_alerts
from openai_costs_dagster.sync.cost_window import ACCESS_ERRORS, FetchedWindow, WindowFetcher
from openai_costs_dagster.sync.key_identity import remember_identity
from openai_costs_dagster.sync.onboarding import connection_settings, register, register_and_probe
from openai_costs_dagster.sync.outcome import DayReport, Outcome
from openai_costs_dagster.sync.provisional_days import is_provisional
from openai_costs_dagster.sync.reclassification import reclassify
from openai_costs_dagster.sync.served_groupings import PersistentGroupingPlanner
from openai_costs_dagster.sync.user_totals import UserTotalsSync
from openai_costs_dagster.warehouse import directory, lock, organizations, retention
from openai_costs_dagster.warehouse import line_items as warehouse_line_items
from openai_costs_dagster.warehouse.costs import ExistingDay, Staging, StoredDay, SyncWindow, existing_days
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.errors import LoadMismatch, ValueRefused, WarehouseError

_LOG = logging.getLogger(__name__)
_ZERO = Decimal(0)
_MAX_ISOLATED_DAYS = 5


@dataclass(frozen=True)
class CostsRequest:
    """The arguments of `ingest_costs`: one organization, the UTC days to synchronize, and the settings of the run."""

    organization: Organization
    database: Database
    days: Collection[dt.date]
    settle_hours: int = 48
    """The number of hours after the end of a UTC day during which OpenAI may still change the costs of that day.

    A day whose costs were fetched before these hours had passed is stored as provisional.
    """
    trigger: Trigger = "manual"
    """The cause of the run: a schedule, a backfill or a person. Only failures of scheduled runs are alerted."""
    run_id: str | None = None
    raw_pages_days: int | None = None
    """The number of days after which OpenAI's raw responses are deleted; None keeps raw responses forever."""
    now: Callable[[], dt.datetime] = utc_now
    """A function that returns the current time in UTC; tests replace it with a fixed clock."""
    on_progress: Callable[[int], None] = lambda _: None
    """A callback that receives the number of days that were stored or failed since its last call."""
    on_wait: Callable[[str], None] = lambda _: None
    """A callback that receives a message while this run waits for another process with the organization's lock."""
    log: logging.Logger = _LOG


def ingest_costs(request: CostsRequest) -> Outcome:
    """Store the costs of the requested days and return the result of each day.

    Takes the organization's lock, so that only one process writes the organization's costs at a time. Does not raise
    errors of the API, the admin key or the database. The returned outcome lists such errors as failures of the days.
    """
    outcome = Outcome()
    try:
        request.database.prepare()
        # A new release may have other classification rules, so line items stored by older rules are classified again.
        reclassify(request.database)
        with (
            AdminApi(connection_settings(request.organization), now=request.now) as api,
            _organization_lock(request) as connection,
        ):
            try:
                _Ingestion(request, api, connection, outcome).run()
            finally:
                outcome.requests = api.requests
                outcome.clock_warning = api.server_clock.warning
            _record_result(connection, request, outcome)
    except (errors.ApiError, WarehouseError, SecretUnavailable) as error:
        # Each window of days is a separate transaction, so windows that were stored before the error stay stored.
        outcome.fail([day for day in request.days if day not in {*outcome.stored, *outcome.not_started}], error)
        _record_result_on_new_connection(request, outcome)
    # Windows are stored newest first, but messages and metadata list days oldest first, so the days are sorted here.
    outcome.stored = dict(sorted(outcome.stored.items()))
    outcome.failed = dict(sorted(outcome.failed.items()))
    return outcome


@contextmanager
def _organization_lock(request: CostsRequest) -> Iterator[Connection]:
    def report_wait(message: str) -> None:
        request.log.warning(message)
        request.on_wait(message)

    name, purpose = request.organization.name, request.run_id or request.trigger
    with lock.organization_lock(request.database, name, purpose=purpose, on_wait=report_wait) as connection:
        yield connection


class _Ingestion:
    """The part of a run of `ingest_costs` during which the run holds the organization's lock."""

    def __init__(self, request: CostsRequest, api: AdminApi, connection: Connection, outcome: Outcome) -> None:
        self._request = request
        self._name = request.organization.name
        self._api = api
        self._connection = connection
        self._outcome = outcome
        self._staging = Staging(connection)
        self._guard = OrganizationGuard(None)
        self._isolated_days = 0
        # OpenAI sends the names of a forgotten user again with every response, so these names are removed from each
        # response before the response is stored.
        remove_personal_data = response_cleaner(
            emails=request.organization.store_emails, forgotten=directory.forgotten_users(connection)
        )
        self._fetcher = WindowFetcher(api, self._guard, self._staging, remove_personal_data)
        self._planner = PersistentGroupingPlanner(api, connection, self._name, GROUPINGS, request.now())

    def run(self) -> None:
        """Store all windows, newest first. Then store each user's totals for the days whose cost rows have no user."""
        self._guard.organization_id = register_and_probe(
            self._connection, self._api, self._request.organization, self._request.now()
        )
        windows = self._plan(DayRange.covering(self._request.days))
        while windows:
            # The list of windows is ordered from the oldest to the newest, so `pop` returns the newest window. The
            # newest days are stored first, because people wait for the newest costs.
            window = windows.pop()
            with self._isolating_failures(window.days):
                try:
                    windows = merge_query_windows(windows + self._store_or_replan(window))
                except errors.LookbackExceeded as refusal:
                    # If midnight UTC passes during a run, OpenAI no longer serves the oldest day that the run planned.
                    windows = self._drop_days_outside_retention([*windows, window], refusal)
                except errors.ResponseTooLarge as error:
                    windows += self._isolate_day(window, error)
                except errors.DaysNotStarted as refusal:
                    windows = self._drop_days_not_started([*windows, window], refusal)
        self._store_user_totals()

    @contextmanager
    def _isolating_failures(self, days: DayRange) -> Iterator[None]:
        """Record an error in the `with` block as a failure of `days`, so that the run continues with other days.

        Raises `ACCESS_ERRORS`, for example a rejected admin key, because every other request would fail as well.
        """
        try:
            yield
        except ACCESS_ERRORS:
            raise
        except (errors.ApiError, LoadMismatch, ValueRefused) as error:
            self._request.log.warning("%s %s was not stored: %s", self._name, days, error)
            self._outcome.fail(days, error)
            self._request.on_progress(len(days))

    def _plan(self, ranges: list[DayRange]) -> list[QueryWindow]:
        """Return the query windows that cover the ranges of days, oldest first.

        Leaves out the days that OpenAI no longer serves, and the days that have not begun by OpenAI's clock.
        """
        windows: list[QueryWindow] = []
        while ranges:
            days = ranges.pop()
            with self._isolating_failures(days):
                try:
                    windows += self._planner.plan(days)
                except errors.LookbackExceeded as refusal:
                    # `_drop_days_outside_retention` reads only the days of a window, so any grouping will do here.
                    served = self._drop_days_outside_retention([QueryWindow(days, GROUPINGS[0])], refusal)
                    ranges += [window.days for window in served]
                except errors.DaysNotStarted as refusal:
                    begun = self._drop_days_not_started([QueryWindow(days, GROUPINGS[0])], refusal)
                    ranges += [window.days for window in begun]
        return merge_query_windows(windows)

    def _store_or_replan(self, window: QueryWindow) -> list[QueryWindow]:
        """Store a window of days and return an empty list.

        If OpenAI refuses the window's grouping, store nothing and return the windows with a coarser grouping that have
        to be requested instead.
        """
        try:
            self._store_window(window)
        except errors.GroupingRefused:
            if window.grouping == GROUPINGS[-1]:
                raise  # The last of `GROUPINGS` is the coarsest, so no other grouping is left to request.
            return self._planner.replan(window)
        return []

    def _drop_days_outside_retention(
        self, windows: list[QueryWindow], refusal: errors.LookbackExceeded
    ) -> list[QueryWindow]:
        """Remove the days that are too old for OpenAI from `windows`, and return the rest of the windows.

        `refusal` is OpenAI's refusal of the last window. The removed days are recorded as failed. Costs that are
        already stored for the removed days are not deleted.
        """
        refused = windows[-1].days
        rest = refusal.served_days(refused)
        earliest = rest.first if rest else max(refusal.earliest, refused.last + ONE_DAY)
        served = []
        for window in windows:
            too_old = window.days.intersection(None, earliest - ONE_DAY)
            if too_old:
                self._outcome.fail(too_old, refusal)
                self._outcome.outside_retention.update(too_old)
                self._request.on_progress(len(too_old))
            days = window.days.intersection(earliest, None)
            if days:
                served.append(replace(window, days=days))
        # OpenAI will never serve the removed days again. The organization's stored first day therefore moves to the
        # first day that OpenAI serves, unless costs of earlier days are stored.
        organizations.postpone_earliest_day(self._connection, self._name, earliest, self._request.now())
        return served

    def _isolate_day(self, window: QueryWindow, error: errors.ResponseTooLarge) -> list[QueryWindow]:
        """Split a window into the days before, on and after the day whose response is too large.

        Only the day with the large response then fails. Raises the error again for a window of one day, and after
        `_MAX_ISOLATED_DAYS` splits in one run, because a server whose responses are all too large would otherwise
        receive a request for every single day.
        """
        self._isolated_days += 1
        if error.day is None or len(window.days) == 1 or self._isolated_days > _MAX_ISOLATED_DAYS:
            raise error
        day, days = error.day, window.days
        parts = [days.intersection(None, day - ONE_DAY), DayRange(day, day), days.intersection(day + ONE_DAY, None)]
        return [replace(window, days=part, do_not_merge=True) for part in parts if part]

    def _drop_days_not_started(self, windows: list[QueryWindow], refusal: errors.DaysNotStarted) -> list[QueryWindow]:
        """Remove the days after the current UTC day of OpenAI's server from `windows`, and return the rest.

        A removed day is recorded as not started, and a later run fetches the day after it has begun. If the server's
        date is not plausible, the removed days are recorded as failed.
        """
        begun = []
        for window in windows:
            days, later = refusal.served_days(window.days), window.days.intersection(refusal.today + ONE_DAY, None)
            if later:
                if refusal.is_plausible:
                    self._request.log.warning("%s %s was not stored: %s", self._name, later, refusal)
                    self._outcome.not_started.update(later)
                else:
                    self._outcome.fail(later, refusal)
                self._request.on_progress(len(later))
            if days:
                begun.append(replace(window, days=days))
        return begun

    def _store_window(self, window: QueryWindow) -> None:
        """Fetch one window of days, check its totals and store all its days in one transaction.

        Raises an `ApiError`, `LoadMismatch` or `ValueRefused`, and then stores no day of the window.
        """
        started_at, requests_before = self._request.now(), self._api.requests
        # `Staging.commit` replaces the stored amounts, so the stored amounts are read first to report each day's
        # change.
        existing = existing_days(self._connection, self._name, window.days)
        fetched = self._fetcher.fetch(window, existing)
        # If two configured names belonged to one OpenAI organization, every total would count its costs twice. The
        # organization id is therefore checked before any row of the window is stored.
        self._store_identity(started_at)
        # Line items are classified before the rows are stored, so that every stored row has a classification.
        warehouse_line_items.classify_new(
            self._connection, fetched.line_items, line_items.classify, line_items.RULES_VERSION
        )
        self._store_names(fetched, started_at)
        sync_window = SyncWindow(
            organization=self._name,
            days=window.days,
            grouping=window.grouping,
            requests=self._api.requests - requests_before,
            started_at=started_at,
            trigger=self._request.trigger,
            run_id=self._request.run_id,
        )
        days = [self._stored_day(fetched, day, started_at) for day in window.days]
        self._staging.commit(sync_window, days, now=self._request.now())
        for day in days:
            self._outcome.stored[day.day] = _report(day, existing.get(day.day), sync_window)
        self._request.log.info(
            "%s %s stored by %s: %d requests",
            self._name,
            window.days,
            grouping_name(window.grouping),
            sync_window.requests,
        )
        self._request.on_progress(len(days))

    def _store_identity(self, started_at: dt.datetime) -> None:
        """Store the id of the OpenAI organization that the admin key belongs to, if a response contained the id."""
        if self._guard.organization_id:
            organizations.bind_openai_organization(self._connection, self._name, self._guard.organization_id)
            remember_identity(self._api, self._guard, started_at)

    def _store_names(self, fetched: FetchedWindow, fetched_at: dt.datetime) -> None:
        """Store the project names and e-mail addresses that the cost rows contained.

        E-mail addresses are stored only if the organization's setting `store_emails` is on.
        """
        emails = self._request.organization.store_emails
        projects = {
            project_id: name
            for project_id, raw_name in fetched.project_names.items()
            if (name := scrub_name(raw_name, emails=emails))
        }
        directory.store_project_names(self._connection, self._name, projects, fetched_at)
        entries = [directory.Entry("project", project_id, name) for project_id, name in projects.items()]
        if emails:
            entries += [directory.Entry("user", user_id, None, email) for user_id, email in fetched.emails.items()]
        directory.store_names(self._connection, self._name, entries, fetched_at)

    def _stored_day(self, fetched: FetchedWindow, day: dt.date, started_at: dt.datetime) -> StoredDay:
        bill, difference = fetched.bills[day], fetched.largest_difference(day)
        return StoredDay(
            day=day,
            # If the local clock is ahead, less time has passed since the end of the day than the local clock shows. The
            # earlier one of local time and server time keeps such a day provisional.
            provisional=is_provisional(
                day, min(started_at, self._api.server_clock.time_at(started_at)), self._request.settle_hours
            ),
            row_count=bill.row_count,
            received_count=bill.received,
            absent_amounts=bill.absent_amounts,
            totals=bill.totals,
            reconciled=fetched.reconciled(day),
            reconcile_difference=difference.amount if difference else None,
        )

    def _store_user_totals(self) -> None:
        without_users = [
            day for day, report in self._outcome.stored.items() if "user_id" not in parse_grouping(report.grouping)
        ]
        if without_users:
            # If OpenAI refuses to group costs by project and user in one request, the allocation of costs to users
            # needs totals that are grouped by user and line item without projects.
            totals = UserTotalsSync(
                self._api, self._guard, self._connection, self._name, self._request.now(), self._request.log
            )
            totals.run(without_users)


def _report(day: StoredDay, existing: ExistingDay | None, sync_window: SyncWindow) -> DayReport:
    amount = day.totals.get(US_DOLLARS, _ZERO)
    return DayReport(
        day=day.day,
        amount_usd=amount,
        row_count=day.row_count,
        absent_amounts=day.absent_amounts,
        grouping=grouping_name(sync_window.grouping),
        provisional=day.provisional,
        requests=sync_window.requests,
        change_usd=money.subtract(amount, existing.amount_usd) if existing else None,
        reconciled=day.reconciled,
        difference=day.reconcile_difference,
        other_totals={currency: total for currency, total in day.totals.items() if currency != US_DOLLARS},
        became_empty=bool(existing and not existing.provisional and existing.is_billed and not day.row_count),
    )


def _record_result(connection: Connection, request: CostsRequest, outcome: Outcome) -> None:
    """Store the result and the alerts of a run, and delete raw responses that are older than `raw_pages_days`."""
    name, now = request.organization.name, request.now()
    # A failure and its alert are stored in one transaction, because a crash between two transactions would lose the
    # alert.
    with connection.transaction():
        if outcome.failed:
            permanent = any(failure.permanent for failure in outcome.failed.values())
            organizations.record_failure(connection, name, outcome.message, now, permanent=permanent)
        else:
            organizations.record_success(connection, name, now)
        failure_alerts.record_alerts(connection, request.organization, outcome, request.trigger, now)
    if request.raw_pages_days is not None:
        # Raw responses are deleted after the run, because a backfill may itself have stored responses for days that are
        # older than the limit.
        retention.delete_raw_buckets(connection, name, older_than=now.date() - request.raw_pages_days * ONE_DAY)


def _record_result_on_new_connection(request: CostsRequest, outcome: Outcome) -> None:
    """Store the result of a run on a new connection, after an error closed the connection of the run.

    If the database cannot be reached, the result is not stored and the error is only logged.
    """
    organization = request.organization
    try:
        with request.database.connect() as connection:
            register(connection, organization)
            _record_result(connection, request, outcome)
    except WarehouseError as error:
        request.log.warning("the failure of %s could not be recorded: %s", organization.name, error)
