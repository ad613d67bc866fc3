"""Synchronizes an organization's usage from the usage endpoints of the OpenAI Admin API into Postgres.

`ingest_usage` splits the requested days into windows, that is, ranges of days, and requests all usage endpoints for a
window concurrently. The response of one endpoint is stored in one transaction (`warehouse/usage.py`) when its last page
has arrived. An endpoint that the server lacks is skipped and requested again a week later (`missing_endpoints.py`).

`usage_records.py` lists the usage endpoints and their counters, so a new counter is added in that file. This module
does not import Dagster; the Dagster asset in `orchestration/assets/usage.py` calls `ingest_usage`.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from decimal import Decimal

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.usage import DAYS_PER_PAGE, UsageBucket, read_usage, usage_endpoint_path
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.configuration.secret import SecretUnavailable
from openai_costs_dagster.days import ONE_DAY, DayRange, utc_now
from openai_costs_dagster.display_text import printable
from openai_costs_dagster.privacy import response_cleaner
from openai_costs_dagster.sync.history_start import fallback_start
from openai_costs_dagster.sync.key_identity import verify_identity
from openai_costs_dagster.sync.missing_endpoints import MissingEndpoints
from openai_costs_dagster.sync.onboarding import connection_settings, register
from openai_costs_dagster.sync.outcome import is_permanent
from openai_costs_dagster.sync.provisional_days import is_provisional
from openai_costs_dagster.usage_records import COMMON_GROUPS, OPERATIONS, Operation
from openai_costs_dagster.warehouse import directory, lock, usage
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.errors import LoadMismatch, ValueRefused, WarehouseError
from openai_costs_dagster.warehouse.usage import UsageDay, UsageWindow

CONCURRENT_ENDPOINTS = 4
"""The number of usage endpoints that are requested at once for an organization.

More concurrent requests would not be faster, because OpenAI applies one rate limit to all endpoints of an organization.
"""

RECENT = dt.timedelta(days=35)
"""The age up to which stored usage of an endpoint proves that the server has the endpoint.

If such an endpoint responds with status 404, the response counts as an error and the endpoint is not skipped.
"""

_COMMON_OPERATIONS = {"completions", "embeddings", "images"}
"""The usage endpoints that every server with usage has. If a server lacks all three, no other one is requested."""

# One page of a response holds a fixed number of days. Windows of one page limit memory use without more requests.
_DAYS_PER_WINDOW = DAYS_PER_PAGE
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class UsageRequest:
    """The arguments of `ingest_usage`: one organization, the UTC days to synchronize, and the settings of the run."""

    organization: Organization
    database: Database
    days: Collection[dt.date]
    settle_hours: int = 48
    """The number of hours after the end of a UTC day during which OpenAI may still change the usage of that day.

    A day whose usage was fetched before these hours had passed is stored as provisional.
    """
    run_id: str | None = None
    now: Callable[[], dt.datetime] = utc_now
    """A function that returns the current time in UTC; tests replace it with a fixed clock."""
    on_wait: Callable[[str], None] = lambda _: None
    """A callback that receives a message while this run waits for another process with the organization's lock."""
    log: logging.Logger = _LOG


@dataclass
class UsageDayReport:
    """The totals of one day's stored usage, summed over all usage endpoints."""

    rows: int = 0
    requests: Decimal = Decimal(0)
    """The number of requests to OpenAI's models: the sum of OpenAI's counter `num_model_requests`."""
    tokens: Decimal = Decimal(0)
    """The number of input tokens plus the number of output tokens."""


@dataclass
class UsageOutcome:
    """The result of a call of `ingest_usage`.

    A day counts as stored if the usage of every endpoint that the server has was stored for that day.
    """

    days: dict[dt.date, UsageDayReport] = field(default_factory=lambda: defaultdict(UsageDayReport))
    failed: dict[dt.date, str] = field(default_factory=dict)
    """The message of the first failure of each day, by day."""
    permanent: bool = True
    """Whether a person has to act on every failure. False if at least one failure may disappear by itself."""
    skipped: dict[str, str] = field(default_factory=dict)
    """The names of the endpoints that the server lacks, each with the error that the server returned."""
    not_started: set[dt.date] = field(default_factory=set)
    """The requested days that have not begun by OpenAI's clock, because the local clock is ahead."""
    clock_warning: str | None = None
    """A warning that the local clock differs from the server's clock; None if the clocks agree."""
    requests: int = 0

    def fail(self, days: Collection[dt.date] | DayRange, reason: str, error: Exception) -> None:
        """Record `reason` as the failure of each of the days. A day that already has a failure keeps its reason."""
        for day in days:
            self.failed.setdefault(day, printable(reason))
        self.permanent = self.permanent and is_permanent(error)

    @property
    def stored(self) -> dict[dt.date, UsageDayReport]:
        """The totals of each day whose usage is complete, oldest day first."""
        return {
            day: self.days[day] for day in sorted(self.days) if day not in self.failed and day not in self.not_started
        }


def ingest_usage(request: UsageRequest) -> UsageOutcome:
    """Store the usage of the requested days and return the result of each day.

    Takes the organization's lock, so that only one process writes the organization's usage at a time. Does not raise
    errors of the API, the admin key or the database. The returned outcome lists such errors as failures of the days.
    """
    outcome = UsageOutcome()
    name = request.organization.name

    def report_wait(message: str) -> None:
        request.log.warning(message)
        request.on_wait(message)

    try:
        request.database.prepare()
        with lock.organization_lock(
            request.database, name, purpose=request.run_id or "usage", on_wait=report_wait
        ) as connection:
            register(connection, request.organization)
            _UsageIngestion(request, connection, outcome).run()
    except (errors.ApiError, WarehouseError, SecretUnavailable) as error:
        outcome.fail(request.days, str(error), error)
    return outcome


@dataclass(frozen=True)
class _Response:
    """All pages that one usage endpoint returned for a range of days."""

    operation: Operation
    groups: Sequence[str]
    buckets: list[UsageBucket]
    started_at: dt.datetime
    """The time of the first request: the earlier one of the local time and the server's time."""
    requests: int
    clock_warning: str | None = None
    not_started: errors.DaysNotStarted | None = None
    """The server's refusal of the last requested days, which have not begun by the server's clock; None if none."""


class _UsageIngestion:
    """The part of a run of `ingest_usage` during which the run holds the organization's lock."""

    def __init__(self, request: UsageRequest, connection: Connection, outcome: UsageOutcome) -> None:
        self._request = request
        self._name = request.organization.name
        self._connection = connection
        self._outcome = outcome
        self._missing = MissingEndpoints(connection, request.organization, request.now())
        since = request.now().date() - RECENT
        self._recently_served = usage.recent_operations(connection, self._name, since)
        self._remove_personal_data = response_cleaner(
            emails=request.organization.store_emails, forgotten=directory.forgotten_users(connection)
        )

    def run(self) -> None:
        """Verify that the admin key belongs to the organization, then store the usage, newest days first."""
        self._verify_key()
        operations = self._operations_to_request()
        # The newest days are stored first, because people wait for the newest usage.
        for window in reversed(list(_windows(self._request.days))):
            common = [operation for operation in operations if operation.name in _COMMON_OPERATIONS]
            others = [operation for operation in operations if operation.name not in _COMMON_OPERATIONS]
            # Completions, embeddings and images are requested before the other endpoints. If the server lacks all
            # three, requests to the other endpoints would fail as well and are not sent.
            for group in (common, others):
                self._store_window([one for one in group if one.name not in self._outcome.skipped], window)
                if self._outcome.skipped.keys() >= _COMMON_OPERATIONS:
                    self._skip_all_others()
            for day in window:
                # A day without any usage also counts as stored and needs an empty report. `days` is a defaultdict, so
                # reading the report of a day creates it.
                _ = self._outcome.days[day]

    def _verify_key(self) -> None:
        organization, now = self._request.organization, self._request.now
        with AdminApi(connection_settings(organization), now=now) as api:
            # Responses of the usage endpoints contain no organization id. Without this check, a wrong admin key would
            # store the usage of another organization.
            days = DayRange(min(self._request.days), max(self._request.days))
            verify_identity(self._connection, api, organization, days, now())
            self._outcome.requests += api.requests

    def _operations_to_request(self) -> list[Operation]:
        missing = self._missing.known()
        for operation in OPERATIONS:
            path = usage_endpoint_path(operation)
            if path in missing:
                self._outcome.skipped[operation.name] = missing[path]
        return [operation for operation in OPERATIONS if operation.name not in self._outcome.skipped]

    def _skip_all_others(self) -> None:
        """Skip all remaining endpoints, after the server lacked completions, embeddings and images.

        A proxy that serves costs but no usage is such a server.
        """
        for operation in OPERATIONS:
            if operation.name not in self._outcome.skipped:
                self._skip(
                    operation, "the server has no usage endpoints: completions, embeddings and images are missing"
                )

    def _skip(self, operation: Operation, reason: str) -> None:
        self._outcome.skipped[operation.name] = reason
        self._missing.record(usage_endpoint_path(operation), reason)
        self._request.log.warning("%s: usage of %s is skipped: %s", self._name, operation.name, reason)

    def _store_window(self, operations: Sequence[Operation], days: DayRange) -> None:
        """Request `days` from several usage endpoints concurrently. Store each response when its last page is read."""
        with ThreadPoolExecutor(CONCURRENT_ENDPOINTS) as threads:
            pending = {threads.submit(self._fetch, operation, days): operation for operation in operations}
            for response in as_completed(pending):
                # `pop` removes the finished request from `pending`, so that the rows of its response do not stay in
                # memory.
                self._store(response, pending.pop(response), days)

    def _fetch(self, operation: Operation, days: DayRange) -> _Response:
        """Fetch the usage of one endpoint. Runs in a thread of its own.

        Each thread creates its own API client, so that the client's counter shows the requests of one endpoint.
        """
        started_at = self._request.now()
        with AdminApi(connection_settings(self._request.organization), now=self._request.now) as api:
            groupings = _groupings(operation)
            not_started: errors.DaysNotStarted | None = None
            while True:
                try:
                    # All pages are read before any day is stored, because half a response must not be stored.
                    buckets = list(read_usage(api, operation, days, groupings[0]))
                except errors.GroupingRefused:
                    if len(groupings) == 1:
                        raise
                    groupings = groupings[1:]
                except (errors.LookbackExceeded, errors.DaysNotStarted) as refusal:
                    served = refusal.served_days(days)
                    if served is None:
                        raise
                    days = served
                    not_started = refusal if isinstance(refusal, errors.DaysNotStarted) else not_started
                else:
                    return _Response(
                        operation,
                        groupings[0],
                        buckets,
                        min(started_at, api.server_clock.time_at(started_at)),
                        api.requests,
                        api.server_clock.warning,
                        not_started,
                    )

    def _store(self, fetched: Future[_Response], operation: Operation, days: DayRange) -> None:
        """Store the response of one endpoint. If the request failed, record the failure or skip the endpoint."""
        log = self._request.log
        try:
            response = fetched.result()
            self._commit(response)
        except errors.EndpointNotFound as error:
            # A misconfigured proxy may respond with 404 for an endpoint that OpenAI serves. If the endpoint was
            # skipped, its usage would be missing without any error.
            if operation.name in self._recently_served:
                reason = f"{error}; OpenAI served this endpoint in the last {RECENT.days} days, so this is an error"
                self._outcome.fail(days, f"{operation.name}: {reason}", error)
            else:
                self._skip(operation, str(error))
        except errors.DaysNotStarted as error:
            self._skip_days_not_started(days, error)
        except (errors.ApiError, LoadMismatch, ValueRefused, SecretUnavailable) as error:
            self._outcome.fail(days, f"{operation.name}: {error}", error)
            log.warning("%s: usage of %s %s was not stored: %s", self._name, operation.name, days, error)
        else:
            self._outcome.requests += response.requests
            self._outcome.clock_warning = response.clock_warning or self._outcome.clock_warning
            first, last = response.buckets[0].day, response.buckets[-1].day
            later = days.intersection(last + ONE_DAY, None)
            if later and response.not_started:
                self._skip_days_not_started(later, response.not_started)
            if first > days.first:
                log.warning("%s: usage of %s is served from %s on", self._name, operation.name, first)
            log.info("%s: usage of %s %s stored: %d requests", self._name, operation.name, days, response.requests)

    def _skip_days_not_started(self, days: DayRange, error: errors.DaysNotStarted) -> None:
        """Record that `days` have not begun by the server's clock.

        If the server's date is not plausible, the days are recorded as failed, because the server's clock may be wrong.
        """
        if error.is_plausible:
            self._outcome.not_started.update(days)
        else:
            self._outcome.fail(days, str(error), error)

    def _commit(self, response: _Response) -> None:
        days = DayRange(response.buckets[0].day, response.buckets[-1].day)
        sync_window = UsageWindow(
            organization=self._name,
            operation=response.operation,
            days=days,
            grouping=response.groups,
            started_at=response.started_at,
            provisional=frozenset(
                day for day in days if is_provisional(day, response.started_at, self._request.settle_hours)
            ),
        )
        usage_days = [
            UsageDay(bucket.day, bucket.rows, self._remove_personal_data(bucket.raw)) for bucket in response.buckets
        ]
        usage.store(self._connection, sync_window, usage_days)
        was_missing = self._missing.forget(usage_endpoint_path(response.operation))
        # The warning recommends a backfill of older days. If OpenAI serves no older days, a backfill could fetch none.
        if was_missing and days.first > fallback_start(self._request.now().date()):
            self._request.log.warning(
                "%s: usage of %s is served now; run openai-costs backfill to fetch the days before %s",
                self._name,
                response.operation.name,
                days.first,
            )
        for bucket in response.buckets:
            _add_to_report(self._outcome.days[bucket.day], bucket)


def _add_to_report(report: UsageDayReport, bucket: UsageBucket) -> None:
    report.rows += len(bucket.rows)
    for row in bucket.rows:
        report.requests += row.counters.get("num_model_requests", Decimal(0))
        # OpenAI's counter `input_tokens` already includes cached tokens and cache writes. Adding the counters of cached
        # tokens would count these tokens twice.
        report.tokens += row.counters.get("input_tokens", Decimal(0))
        report.tokens += row.counters.get("output_tokens", Decimal(0))


def _groupings(operation: Operation) -> list[tuple[str, ...]]:
    """Return the groupings to request from an endpoint, in the order of the attempts.

    The first grouping has all dimensions of the endpoint. The second one has only the dimensions that all endpoints
    support, for servers that refuse the first grouping.
    """
    common = tuple(group for group in operation.groups if group in COMMON_GROUPS)
    return [operation.groups] if common == operation.groups else [operation.groups, common]


def _windows(days: Collection[dt.date]) -> Iterator[DayRange]:
    for contiguous in DayRange.covering(days):
        first = contiguous.first
        while first <= contiguous.last:
            last = min(contiguous.last, first + (_DAYS_PER_WINDOW - 1) * ONE_DAY)
            yield DayRange(first, last)
            first = last + ONE_DAY
