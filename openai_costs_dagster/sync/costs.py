"""One organization's days from the API into the warehouse; knows nothing of Dagster, which calls it.

A run works through windows one after the other and commits each: a window that fails fails its own days and no
others. What cannot be had is said for each day, as permanent (a person has to act) or transient.
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
from openai_costs_dagster.days import ONE_DAY, DayRange, utc_midnight, utc_now
from openai_costs_dagster.privacy import response_cleaner, scrub_name
from openai_costs_dagster.spend import line_items, money
from openai_costs_dagster.sync import failure_alerts
from openai_costs_dagster.sync.cost_window import ACCESS_ERRORS, Window, WindowFetcher
from openai_costs_dagster.sync.key_identity import remember_identity
from openai_costs_dagster.sync.onboarding import connection_settings, register, register_and_probe
from openai_costs_dagster.sync.outcome import DayReport, Outcome
from openai_costs_dagster.sync.served_groupings import PersistentGroupingPlanner
from openai_costs_dagster.sync.user_totals import UserTotals
from openai_costs_dagster.warehouse import directory, lock, organizations, retention
from openai_costs_dagster.warehouse import line_items as warehouse_line_items
from openai_costs_dagster.warehouse.costs import KnownDay, Reading, Staging, StoredDay, known_days
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.errors import LoadMismatch, ValueRefused, WarehouseError

_LOG = logging.getLogger(__name__)
_ZERO = Decimal(0)


@dataclass(frozen=True)
class CostsRequest:
    """Who reads what and how; `now` is injected by tests."""

    organization: Organization
    database: Database
    days: Collection[dt.date]
    settle_hours: int = 48
    asked_by: str = "person"
    run_id: str | None = None
    raw_pages_days: int | None = None
    """How long raw answers are kept; None: for ever."""
    now: Callable[[], dt.datetime] = utc_now
    on_progress: Callable[[int], None] = lambda _: None
    """Told how many more days are done, stored or failed."""
    on_wait: Callable[[str], None] = lambda _: None
    """Told for whom we wait, where another reader has the organization."""
    log: logging.Logger = _LOG


def ingest_costs(request: CostsRequest) -> Outcome:
    """Stores the days asked for, window by window, as the organization's only reader.

    Never raises for what the API, the key or the database do: the outcome says it, day by day.
    """
    outcome = Outcome()
    name = request.organization.name

    def waiting(sentence: str) -> None:
        request.log.warning(sentence)
        request.on_wait(sentence)

    try:
        request.database.prepare()
        with (
            AdminApi(connection_settings(request.organization), now=request.now) as api,
            lock.reader(
                request.database, name, purpose=request.run_id or request.asked_by, on_wait=waiting
            ) as connection,
        ):
            try:
                _Ingestion(request, api, connection, outcome).run()
            finally:
                outcome.requests = api.requests
            _record(connection, request, outcome)
    except (errors.ApiError, WarehouseError, SecretUnavailable) as error:
        outcome.fail([day for day in request.days if day not in outcome.stored], error)
        _try_to_record(request, outcome)
    outcome.stored = dict(sorted(outcome.stored.items()))
    outcome.failed = dict(sorted(outcome.failed.items()))
    return outcome


class _Ingestion:
    def __init__(self, request: CostsRequest, api: AdminApi, connection: Connection, outcome: Outcome) -> None:
        self._request = request
        self._name = request.organization.name
        self._api = api
        self._connection = connection
        self._outcome = outcome
        self._staging = Staging(connection)
        self._guard = OrganizationGuard(None)
        cleaned = response_cleaner(emails=request.organization.store_emails, forgotten=directory.forgotten(connection))
        self._reader = WindowFetcher(api, self._guard, self._staging, cleaned)
        self._planner = PersistentGroupingPlanner(api, connection, self._name, GROUPINGS, request.now())

    def run(self) -> None:
        self._guard.organization_id = register_and_probe(
            self._connection, self._api, self._request.organization, self._request.now()
        )
        work = self._plan_all(DayRange.covering(self._request.days))
        while work:  # the newest days first: they are asked for most
            query = work.pop()
            with self._failing(query.days):
                try:
                    work = merge_query_windows(work + self._store_or_split(query))
                except errors.LookbackExceeded as refusal:
                    work = self._cut([*work, query], refusal)
        without_users = [
            day for day, report in self._outcome.stored.items() if "user_id" not in parse_grouping(report.grouping)
        ]
        if without_users:
            totals = UserTotals(
                self._api, self._guard, self._connection, self._name, self._request.now(), self._request.log
            )
            totals.read(without_users)

    @contextmanager
    def _failing(self, days: DayRange) -> Iterator[None]:
        """Fails these days and no others for what the API or their own figures do; lost access ends the run."""
        try:
            yield
        except ACCESS_ERRORS:
            raise
        except (errors.ApiError, LoadMismatch, ValueRefused) as error:
            self._request.log.warning("%s %s was not stored: %s", self._name, days, error)
            self._outcome.fail(days, error)
            self._request.on_progress(len(days))

    def _plan_all(self, ranges: list[DayRange]) -> list[QueryWindow]:
        queries: list[QueryWindow] = []
        while ranges:
            days = ranges.pop()
            with self._failing(days):
                try:
                    queries += self._planner.plan(days)
                except errors.LookbackExceeded as refusal:
                    ranges += [query.days for query in self._cut([QueryWindow(days, GROUPINGS[0])], refusal)]
        return merge_query_windows(queries)

    def _store_or_split(self, query: QueryWindow) -> list[QueryWindow]:
        """Stores a query, or says what to ask for instead where the API refuses it as it is."""
        try:
            self._store(query)
        except errors.GroupingRefused:
            if query.grouping == GROUPINGS[-1]:
                raise
            return self._planner.replan(query)
        return []

    def _cut(self, work: list[QueryWindow], refusal: errors.LookbackExceeded) -> list[QueryWindow]:
        """What is left from the first served day on; what lies before it is stored no more, nor deleted."""
        refused = work[-1].days
        left_of_it = refusal.served_days(refused)
        earliest = left_of_it.first if left_of_it else max(refusal.earliest, refused.last + ONE_DAY)
        left = []
        for query in work:
            beyond = query.days.intersection(None, earliest - ONE_DAY)
            if beyond:
                self._outcome.fail(beyond, refusal)
                self._outcome.outside_retention.update(beyond)
                self._request.on_progress(len(beyond))
            served = query.days.intersection(earliest, None)
            if served:
                left.append(replace(query, days=served))
        organizations.begin_later(self._connection, self._name, earliest, self._request.now())
        return left

    def _store(self, query: QueryWindow) -> None:
        started_at, requests_before = self._request.now(), self._api.requests
        known = known_days(self._connection, self._name, query.days)
        window = self._reader.read(query, known)
        if self._guard.organization_id:
            organizations.identify(self._connection, self._name, self._guard.organization_id)
            remember_identity(self._api, self._guard, started_at)
        warehouse_line_items.classify_new(
            self._connection, window.line_items, line_items.classify, line_items.RULES_VERSION
        )
        self._keep_names(window, started_at)
        reading = Reading(
            organization=self._name,
            days=query.days,
            grouping=query.grouping,
            requests=self._api.requests - requests_before,
            started_at=started_at,
            asked_by=self._request.asked_by,
            run_id=self._request.run_id,
        )
        days = [self._day(window, day, started_at) for day in query.days]
        self._staging.commit(reading, days, now=self._request.now())
        for day in days:
            self._outcome.stored[day.day] = _report(day, known.get(day.day), reading)
        self._request.log.info(
            "%s %s stored by %s: %d requests", self._name, query.days, grouping_name(query.grouping), reading.requests
        )
        self._request.on_progress(len(days))

    def _keep_names(self, window: Window, seen_at: dt.datetime) -> None:
        """DirectoryOutcome that answers carried by the way."""
        emails = self._request.organization.store_emails
        projects = {
            one: kept for one, name in window.project_names.items() if (kept := scrub_name(name, emails=emails))
        }
        directory.name_projects(self._connection, self._name, projects, seen_at)
        found = [directory.Entry("project", one, name) for one, name in projects.items()]
        if emails:
            found += [directory.Entry("user", one, None, email) for one, email in window.addresses.items()]
        directory.know_names(self._connection, self._name, found, seen_at)

    def _day(self, window: Window, day: dt.date, started_at: dt.datetime) -> StoredDay:
        bill, difference = window.bills[day], window.largest_difference(day)
        settled_from = utc_midnight(day + ONE_DAY) + dt.timedelta(hours=self._request.settle_hours)
        return StoredDay(
            day=day,
            provisional=started_at < settled_from,
            row_count=bill.row_count,
            received_count=bill.received,
            absent_amounts=bill.absent_amounts,
            totals=bill.totals,
            reconciled=window.reconciled(day),
            reconcile_difference=difference.amount if difference else None,
        )


def _report(day: StoredDay, known: KnownDay | None, reading: Reading) -> DayReport:
    amount = day.totals.get(US_DOLLARS, _ZERO)
    return DayReport(
        day=day.day,
        amount_usd=amount,
        row_count=day.row_count,
        absent_amounts=day.absent_amounts,
        grouping=grouping_name(reading.grouping),
        provisional=day.provisional,
        requests=reading.requests,
        change_usd=money.subtract(amount, known.amount_usd) if known else None,
        reconciled=day.reconciled,
        difference=day.reconcile_difference,
        other_totals={currency: total for currency, total in day.totals.items() if currency != US_DOLLARS},
        came_back_empty=bool(known and not known.provisional and known.is_billed and not day.row_count),
    )


def _record(connection: Connection, request: CostsRequest, outcome: Outcome) -> None:
    name, now = request.organization.name, request.now()
    with connection.transaction():
        if outcome.failed:
            permanent = any(failure.permanent for failure in outcome.failed.values())
            organizations.record_failure(connection, name, outcome.message, now, permanent=permanent)
        else:
            organizations.record_success(connection, name, now)
        failure_alerts.record_alerts(connection, request.organization, outcome, request.asked_by, now)
    if request.raw_pages_days is not None:  # last: what this reading brought of old days goes as well
        retention.delete_raw(connection, name, older_than=now.date() - request.raw_pages_days * ONE_DAY)


def _try_to_record(request: CostsRequest, outcome: Outcome) -> None:
    """Notes a failure that ended the reader's own connection, if the database can be reached at all."""
    organization = request.organization
    try:
        with request.database.connect() as connection:
            register(connection, organization)
            _record(connection, request, outcome)
    except WarehouseError as error:
        request.log.warning("the failure of %s could not be noted: %s", organization.name, error)
