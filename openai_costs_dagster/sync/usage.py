"""One organization's usage from the API into the warehouse; knows nothing of Dagster, which calls it.

All endpoints of a window are read side by side, each as one chain, and each is stored when it is whole. An endpoint
that the server lacks is skipped, said, and asked for again a week later.
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
from openai_costs_dagster.days import ONE_DAY, DayRange, utc_midnight, utc_now
from openai_costs_dagster.privacy import response_cleaner
from openai_costs_dagster.sync.key_identity import verify_identity
from openai_costs_dagster.sync.missing_endpoints import MissingEndpoints
from openai_costs_dagster.sync.onboarding import connection_settings, register
from openai_costs_dagster.sync.outcome import is_permanent
from openai_costs_dagster.usage_records import COMMON_GROUPS, OPERATIONS, Operation
from openai_costs_dagster.warehouse import directory, lock, usage
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.errors import LoadMismatch, ValueRefused, WarehouseError
from openai_costs_dagster.warehouse.usage import UsageDay, UsageReading

SIDE_BY_SIDE = 4
"""How many endpoints of an organization are read at once: its rate limit is shared by all of them."""

LATELY = dt.timedelta(days=35)
"""An endpoint that counted something in so many days and is not served any more is an error of the server's."""

_TELLING = {"completions", "embeddings", "images"}  # a server without any of these has no usage endpoints at all
_DAYS_PER_CHAIN = DAYS_PER_PAGE  # bounds memory; a year is 12 requests either way
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class UsageRequest:
    """Who reads what; `now` is injected by tests."""

    organization: Organization
    database: Database
    days: Collection[dt.date]
    settle_hours: int = 48
    run_id: str | None = None
    now: Callable[[], dt.datetime] = utc_now
    on_wait: Callable[[str], None] = lambda _: None
    """Told for whom we wait, where another reader has the organization."""
    log: logging.Logger = _LOG


@dataclass
class UsageDayReport:
    """What was counted on a day, over all endpoints."""

    rows: int = 0
    requests: Decimal = Decimal(0)
    tokens: Decimal = Decimal(0)


@dataclass
class UsageOutcome:
    """What became of the days asked for. A day is stored when all endpoints that the server has are."""

    days: dict[dt.date, UsageDayReport] = field(default_factory=lambda: defaultdict(UsageDayReport))
    failed: dict[dt.date, str] = field(default_factory=dict)
    permanent: bool = True
    """Whether a person has to act before asking again helps; of the failures alone."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Endpoints that the server lacks, and what it said."""
    requests: int = 0

    def fail(self, days: Collection[dt.date] | DayRange, reason: str, error: Exception) -> None:
        """Says of days why their usage is not whole."""
        for day in days:
            self.failed.setdefault(day, reason)
        self.permanent = self.permanent and is_permanent(error)

    @property
    def stored(self) -> dict[dt.date, UsageDayReport]:
        """The days that are whole, oldest first."""
        return {day: self.days[day] for day in sorted(self.days) if day not in self.failed}


def ingest_usage(request: UsageRequest) -> UsageOutcome:
    """Stores the usage of the days asked for, as the organization's only reader.

    Never raises for what the API, the key or the database do: the outcome says it.
    """
    outcome = UsageOutcome()
    name = request.organization.name

    def waiting(sentence: str) -> None:
        request.log.warning(sentence)
        request.on_wait(sentence)

    try:
        request.database.prepare()
        with lock.reader(request.database, name, purpose=request.run_id or "usage", on_wait=waiting) as connection:
            register(connection, request.organization)
            _UsageIngestion(request, connection, outcome).run()
    except (errors.ApiError, WarehouseError, SecretUnavailable) as error:
        outcome.fail(request.days, str(error), error)
    return outcome


@dataclass(frozen=True)
class _Chain:
    """What one endpoint answered for a window."""

    operation: Operation
    groups: Sequence[str]
    buckets: list[UsageBucket]
    started_at: dt.datetime
    requests: int


class _UsageIngestion:
    def __init__(self, request: UsageRequest, connection: Connection, outcome: UsageOutcome) -> None:
        self._request = request
        self._name = request.organization.name
        self._connection = connection
        self._outcome = outcome
        self._missing = MissingEndpoints(connection, request.organization, request.now())
        since = request.now().date() - LATELY
        self._lately_counted = usage.lately_counted(connection, self._name, since)
        self._cleaned = response_cleaner(
            emails=request.organization.store_emails, forgotten=directory.forgotten(connection)
        )

    def run(self) -> None:
        organization, now = self._request.organization, self._request.now
        with AdminApi(connection_settings(organization), now=now) as api:
            asked = DayRange(min(self._request.days), max(self._request.days))
            verify_identity(self._connection, api, organization, asked, now())
            self._outcome.requests += api.requests
        operations = self._operations_to_ask()
        for window in reversed(list(_windows(self._request.days))):  # the newest first: they are asked for most
            for some in (
                [one for one in operations if one.name in _TELLING],
                [one for one in operations if one.name not in _TELLING],
            ):
                self._read_window([one for one in some if one.name not in self._outcome.skipped], window)
                if self._outcome.skipped.keys() >= _TELLING:
                    self._skip_all_others()
            for day in window:
                _ = self._outcome.days[day]

    def _skip_all_others(self) -> None:
        """A proxy that passes on costs alone is not asked for eleven endpoints."""
        for operation in OPERATIONS:
            if operation.name not in self._outcome.skipped:
                self._skip(operation, "the server has no usage endpoints, as those that were asked for tell")

    def _operations_to_ask(self) -> list[Operation]:
        absent = self._missing.known()
        self._outcome.skipped.update(
            {one.name: absent[usage_endpoint_path(one)] for one in OPERATIONS if usage_endpoint_path(one) in absent}
        )
        return [one for one in OPERATIONS if one.name not in self._outcome.skipped]

    def _read_window(self, operations: Sequence[Operation], days: DayRange) -> None:
        with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
            chains = {threads.submit(self._read, operation, days): operation for operation in operations}
            for chain in as_completed(chains):
                self._store(chain, chains.pop(chain), days)

    def _read(self, operation: Operation, days: DayRange) -> _Chain:
        """In a thread of its own, with a client of its own."""
        started_at = self._request.now()
        with AdminApi(connection_settings(self._request.organization), now=self._request.now) as api:
            groupings = _groupings(operation)
            while True:
                try:
                    buckets = list(read_usage(api, operation, days, groupings[0]))
                except errors.GroupingRefused:
                    if len(groupings) == 1:
                        raise
                    groupings = groupings[1:]
                except errors.LookbackExceeded as refusal:
                    served = refusal.served_days(days)
                    if served is None:
                        raise
                    days = served
                else:
                    return _Chain(operation, groupings[0], buckets, started_at, api.requests)

    def _store(self, chain: Future[_Chain], operation: Operation, days: DayRange) -> None:
        log = self._request.log
        try:
            found = chain.result()
            self._commit(found)
        except errors.EndpointNotFound as error:
            if operation.name in self._lately_counted:
                said = f"{error}; it was served before, so this is believed to be a mistake on the way there"
                self._outcome.fail(days, f"{operation.name}: {said}", error)
            else:
                self._skip(operation, str(error))
        except (errors.ApiError, LoadMismatch, ValueRefused, SecretUnavailable) as error:
            self._outcome.fail(days, f"{operation.name}: {error}", error)
            log.warning("%s: usage of %s %s was not stored: %s", self._name, operation.name, days, error)
        else:
            self._outcome.requests += found.requests
            first = found.buckets[0].day
            if first > days.first:
                log.warning("%s: usage of %s is served from %s on", self._name, operation.name, first)
            log.info("%s: usage of %s %s stored: %d requests", self._name, operation.name, days, found.requests)

    def _skip(self, operation: Operation, said: str) -> None:
        self._outcome.skipped[operation.name] = said
        self._missing.record(usage_endpoint_path(operation), said)
        self._request.log.warning("%s: usage of %s is skipped: %s", self._name, operation.name, said)

    def _commit(self, chain: _Chain) -> None:
        days = DayRange(chain.buckets[0].day, chain.buckets[-1].day)
        settled = dt.timedelta(hours=self._request.settle_hours)
        reading = UsageReading(
            organization=self._name,
            operation=chain.operation,
            days=days,
            grouping=chain.groups,
            started_at=chain.started_at,
            provisional=frozenset(day for day in days if chain.started_at < utc_midnight(day + ONE_DAY) + settled),
        )
        kept = [UsageDay(bucket.day, bucket.rows, self._cleaned(bucket.raw)) for bucket in chain.buckets]
        usage.store(self._connection, reading, kept)
        if self._missing.forget(usage_endpoint_path(chain.operation)):
            said = "%s: usage of %s is served now; openai-costs backfill reads the days before %s"
            self._request.log.warning(said, self._name, chain.operation.name, days.first)
        for bucket in chain.buckets:
            report = self._outcome.days[bucket.day]
            report.rows += len(bucket.rows)
            for row in bucket.rows:
                report.requests += row.counters.get("num_model_requests", Decimal(0))
                report.tokens += row.counters.get("input_tokens", Decimal(0))
                report.tokens += row.counters.get("output_tokens", Decimal(0))


def _groupings(operation: Operation) -> list[tuple[str, ...]]:
    """All of an operation's groups, or the common ones where an older server refuses the others."""
    common = tuple(group for group in operation.groups if group in COMMON_GROUPS)
    return [operation.groups] if common == operation.groups else [operation.groups, common]


def _windows(days: Collection[dt.date]) -> Iterator[DayRange]:
    for whole in DayRange.covering(days):
        first = whole.first
        while first <= whole.last:
            last = min(whole.last, first + (_DAYS_PER_CHAIN - 1) * ONE_DAY)
            yield DayRange(first, last)
            first = last + ONE_DAY
