"""Synchronizes an organization's costs from the OpenAI Admin API into Postgres.

`ingest_costs` splits the requested days into windows. A window is a range of days that one query covers. Each window
passes through four steps:

1. Request: `served_groupings.py` plans the query with the finest grouping that OpenAI serves for the days.
2. Parse: `cost_window.py` fetches the pages (`api/costs.py`), adds up each day's rows (`spend/daily_bill.py`) and
   copies them into a staging table.
3. Reconcile: `cost_window.py` also fetches the days without grouping and compares the totals of both responses
   (`spend/reconciliation.py`). Days whose totals differ are fetched once more.
4. Store: `_store_window` classifies the line items (`spend/line_items.py`) and replaces the window's days in one
   transaction (`warehouse/costs.py`).

If a window fails, its days keep what is stored for them and the other windows continue. `outcome.py` holds the result
of each day. This module does not import Dagster; the asset in `orchestration/assets/costs.py` calls it.
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
    """The organization and the days to synchronize, and the settings of the run. Days are UTC days."""

    organization: Organization
    database: Database
    days: Collection[dt.date]
    settle_hours: int = 48
    """Hours after the end of a day during which OpenAI may still change its costs; until then it is provisional."""
    trigger: Trigger = "manual"
    """What started the run. Only scheduled runs open an alert about a failure."""
    run_id: str | None = None
    raw_pages_days: int | None = None
    """Days for which raw responses are stored; None stores them forever."""
    now: Callable[[], dt.datetime] = utc_now
    """The clock; tests replace it."""
    on_progress: Callable[[int], None] = lambda _: None
    """Called with the number of days that were stored or failed since the last call."""
    on_wait: Callable[[str], None] = lambda _: None
    """Called with a message while another process holds the lock of the organization."""
    log: logging.Logger = _LOG


def ingest_costs(request: CostsRequest) -> Outcome:
    """Store the costs of the requested days and return the result of each day.

    Takes the organization's lock, so that only one process writes its costs at a time. Errors of the API, the key and
    the database are not raised: they are recorded as failures of the days in the outcome.
    """
    outcome = Outcome()
    try:
        request.database.prepare()
        # An upgrade may have changed the classification rules.
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
        # Each window is a transaction of its own, so windows that were stored before the error stay stored.
        outcome.fail([day for day in request.days if day not in {*outcome.stored, *outcome.not_started}], error)
        _record_result_on_new_connection(request, outcome)
    # Windows are stored newest first; the outcome lists its days oldest first.
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
    """One run of `ingest_costs`, while it holds the organization's lock."""

    def __init__(self, request: CostsRequest, api: AdminApi, connection: Connection, outcome: Outcome) -> None:
        self._request = request
        self._name = request.organization.name
        self._api = api
        self._connection = connection
        self._outcome = outcome
        self._staging = Staging(connection)
        self._guard = OrganizationGuard(None)
        self._isolated_days = 0
        # OpenAI sends the names of a forgotten user again with every response, so they are removed before storage.
        remove_personal_data = response_cleaner(
            emails=request.organization.store_emails, forgotten=directory.forgotten_users(connection)
        )
        self._fetcher = WindowFetcher(api, self._guard, self._staging, remove_personal_data)
        self._planner = PersistentGroupingPlanner(api, connection, self._name, GROUPINGS, request.now())

    def run(self) -> None:
        """Store all windows, newest first, and then the users' totals of days whose costs lack users."""
        self._guard.organization_id = register_and_probe(
            self._connection, self._api, self._request.organization, self._request.now()
        )
        windows = self._plan(DayRange.covering(self._request.days))
        while windows:
            # The newest days are stored first, because people wait for them.
            window = windows.pop()
            with self._isolating_failures(window.days):
                try:
                    windows = merge_query_windows(windows + self._store_or_replan(window))
                except errors.LookbackExceeded as refusal:
                    # Midnight UTC may pass during a run, and OpenAI then serves one day less than it did.
                    windows = self._drop_days_outside_retention([*windows, window], refusal)
                except errors.ResponseTooLarge as error:
                    windows += self._isolate_day(window, error)
                except errors.DaysNotStarted as refusal:
                    windows = self._drop_days_not_started([*windows, window], refusal)
        self._store_user_totals()

    @contextmanager
    def _isolating_failures(self, days: DayRange) -> Iterator[None]:
        """Record an error as a failure of these days only. Errors of access are raised: they end the run."""
        try:
            yield
        except ACCESS_ERRORS:
            raise
        except (errors.ApiError, LoadMismatch, ValueRefused) as error:
            self._request.log.warning("%s %s was not stored: %s", self._name, days, error)
            self._outcome.fail(days, error)
            self._request.on_progress(len(days))

    def _plan(self, ranges: list[DayRange]) -> list[QueryWindow]:
        """Return the windows that cover the ranges, oldest first; days that OpenAI no longer serves are left out."""
        windows: list[QueryWindow] = []
        while ranges:
            days = ranges.pop()
            with self._isolating_failures(days):
                try:
                    windows += self._planner.plan(days)
                except errors.LookbackExceeded as refusal:
                    # The window only passes the days to the method, so its grouping does not matter.
                    served = self._drop_days_outside_retention([QueryWindow(days, GROUPINGS[0])], refusal)
                    ranges += [window.days for window in served]
                except errors.DaysNotStarted as refusal:
                    begun = self._drop_days_not_started([QueryWindow(days, GROUPINGS[0])], refusal)
                    ranges += [window.days for window in begun]
        return merge_query_windows(windows)

    def _store_or_replan(self, window: QueryWindow) -> list[QueryWindow]:
        """Store the window, or return the windows that replace it if OpenAI refuses its grouping."""
        try:
            self._store_window(window)
        except errors.GroupingRefused:
            if window.grouping == GROUPINGS[-1]:
                raise  # OpenAI serves this grouping to every organization, so no coarser grouping is left to request
            return self._planner.replan(window)
        return []

    def _drop_days_outside_retention(
        self, windows: list[QueryWindow], refusal: errors.LookbackExceeded
    ) -> list[QueryWindow]:
        """Cut the windows at the first day that OpenAI serves, and return them. The last window was refused.

        Earlier days fail. Rows that are already stored for them are not deleted.
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
        # OpenAI will never serve earlier days again, so the stored start of the history moves to the first served day.
        organizations.postpone_earliest_day(self._connection, self._name, earliest, self._request.now())
        return served

    def _isolate_day(self, window: QueryWindow, error: errors.ResponseTooLarge) -> list[QueryWindow]:
        """Return the windows before, on and after a day whose response is too large, so that only this day fails.

        Raises the error again for a window of one day, and after some days: the whole window is then recorded as
        failed, because a server whose responses are all too large would otherwise receive requests for every day.
        """
        self._isolated_days += 1
        if error.day is None or len(window.days) == 1 or self._isolated_days > _MAX_ISOLATED_DAYS:
            raise error
        day, days = error.day, window.days
        parts = [days.intersection(None, day - ONE_DAY), DayRange(day, day), days.intersection(day + ONE_DAY, None)]
        return [replace(window, days=part, do_not_merge=True) for part in parts if part]

    def _drop_days_not_started(self, windows: list[QueryWindow], refusal: errors.DaysNotStarted) -> list[QueryWindow]:
        """Return the windows up to the server's current day. Later days do not fail: they are read once they begin."""
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
        """Fetch, check and store one window. Raises an `ApiError`, LoadMismatch or ValueRefused."""
        started_at, requests_before = self._request.now(), self._api.requests
        # The commit replaces the stored amounts, so they are read first to report the change of each day.
        existing = existing_days(self._connection, self._name, window.days)
        fetched = self._fetcher.fetch(window, existing)
        # Two configured names of one OpenAI organization would count its costs twice, so the identity is checked before
        # any row of the window is stored.
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
        """Store which OpenAI organization the key belongs to, if a response contained its id."""
        if self._guard.organization_id:
            organizations.bind_openai_organization(self._connection, self._name, self._guard.organization_id)
            remember_identity(self._api, self._guard, started_at)

    def _store_names(self, fetched: FetchedWindow, fetched_at: dt.datetime) -> None:
        """Store the project names and e-mail addresses that the cost rows contained, as far as privacy allows."""
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
            # If the local clock is ahead, the day has ended more recently than this clock shows.
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
            # If OpenAI refuses to group by project and user in one request, the allocation needs totals grouped by user
            # alone.
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
    """Record the result and the alerts of the run, and delete raw responses whose retention has ended."""
    name, now = request.organization.name, request.now()
    # A failure and its alert are stored together, so that a crash never leaves one without the other.
    with connection.transaction():
        if outcome.failed:
            permanent = any(failure.permanent for failure in outcome.failed.values())
            organizations.record_failure(connection, name, outcome.message, now, permanent=permanent)
        else:
            organizations.record_success(connection, name, now)
        failure_alerts.record_alerts(connection, request.organization, outcome, request.trigger, now)
    if request.raw_pages_days is not None:
        # Old raw responses are deleted last, because this run may itself have stored responses older than the limit.
        retention.delete_raw_buckets(connection, name, older_than=now.date() - request.raw_pages_days * ONE_DAY)


def _record_result_on_new_connection(request: CostsRequest, outcome: Outcome) -> None:
    """Record a failure that broke the run's own connection.

    If the database cannot be reached, the error is only logged.
    """
    organization = request.organization
    try:
        with request.database.connect() as connection:
            register(connection, organization)
            _record_result(connection, request, outcome)
    except WarehouseError as error:
        request.log.warning("the failure of %s could not be recorded: %s", organization.name, error)
