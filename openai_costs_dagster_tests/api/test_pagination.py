"""Tests of reading the pages of one query: every day once and in order, or an error."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi, ConnectionSettings
from openai_costs_dagster.api.costs import CostsBucket, OrganizationGuard, is_grouping_served, read_costs
from openai_costs_dagster.api.response_types import parse_cost
from openai_costs_dagster.cost_records import GROUPINGS, UNGROUPED, Grouping
from openai_costs_dagster.days import ONE_DAY, DayRange, unix_midnight
from openai_costs_dagster.simulator import Deviations, Fault, FaultKind, SimulatedOrganization, Simulator

from .scripted_api import FIRST, NOW, Script, bucket, days, page, refusal

_SECOND, _THIRD, _FOURTH = (FIRST + number * ONE_DAY for number in (1, 2, 3))


def read(
    script: Script, requested_days: DayRange, grouping: Grouping = UNGROUPED, guard: OrganizationGuard | None = None
) -> list[CostsBucket]:
    with script.api() as api:
        return list(read_costs(api, requested_days, grouping, guard or OrganizationGuard(None)))


def row(organization_id: str | None = None, **more: Any) -> dict[str, Any]:
    return {"amount": {"value": "1", "currency": "usd"}, "organization_id": organization_id, **more}


@pytest.mark.parametrize("grouping", [UNGROUPED, *GROUPINGS])
def test_query_contains_utc_days_grouping_and_limit(grouping: Grouping) -> None:
    script = Script(page([FIRST, _SECOND]))
    read(script, days(2), grouping)
    assert script.queries() == [
        [
            ("start_time", "1772323200"),
            ("end_time", "1772496000"),
            ("bucket_width", "1d"),
            ("limit", "2"),
            *(("group_by", dimension) for dimension in sorted(grouping)),
        ]
    ]


def test_year_is_read_in_pages_of_180_days_with_the_same_query() -> None:
    year = list(days(365))
    script = Script(page(year[:180], "page_2"), page(year[180:360], "page_3"), page(year[360:]))
    assert [bucket_of_day.day for bucket_of_day in read(script, days(365), GROUPINGS[0])] == year
    first, *others = script.queries()
    assert ("limit", "180") in first
    assert others == [[*first, ("page", "page_2")], [*first, ("page", "page_3")]]


def test_rows_and_bytes_of_a_bucket_are_unchanged() -> None:
    script = Script(page([bucket(FIRST, row(line_item="a"), row(line_item="a")), bucket(_SECOND)]))
    first, second = read(script, days(2))
    assert [parse_cost(cost_row).line_item for cost_row in first.rows] == ["a", "a"]
    assert first.raw.startswith(b'{"object":"bucket","start_time":1772323200')
    assert (second.day, list(second.rows)) == (_SECOND, [])


def test_nul_and_unpaired_surrogates_are_replaced_in_rows_and_bytes() -> None:
    (only,) = read(Script(page([bucket(FIRST, row(line_item="a\0b"), row(line_item="\ud83d"))])), days(1))
    assert [cost_row.line_item for cost_row in only.rows] == ["a\ufffdb", "\ufffd"]
    assert only.raw.count(rb"\ufffd") == 2


@pytest.mark.parametrize("sent", [b"\xff", b"\xed\xa0\xbd"])
def test_invalid_utf8_is_replaced(sent: bytes) -> None:
    body = page([bucket(FIRST, row(line_item="x"))]).content.replace(b'"x"', b'"' + sent + b'"')
    (only,) = read(Script(httpx2.Response(200, content=body)), days(1))
    assert [cost_row.line_item for cost_row in only.rows] == ["\ufffd"]


@pytest.mark.parametrize("end", [{"end_time": 1772409600.0}, {"end_time": None}, {}], ids=["float", "null", "absent"])
def test_bucket_with_float_times_or_without_end_is_accepted(end: dict[str, Any]) -> None:
    buckets = [{"start_time": 1772323200.0, "results": [row()], **end}, {"start_time": 1772409600.0, "results": []}]
    assert [bucket_of_day.day for bucket_of_day in read(Script(page(buckets)), days(2))] == [FIRST, _SECOND]


def test_escaped_backslash_before_u0000_is_unchanged() -> None:
    (only,) = read(Script(page([bucket(FIRST, row(line_item=r"a\u0000b"))])), days(1))
    assert only.rows[0].line_item == r"a\u0000b"


def test_pages_after_the_last_day_are_not_requested() -> None:
    # The live API returns further page tokens after the last day, without end.
    script = Script(page([FIRST, _SECOND], "page_2"), page([], "page_3"))
    assert len(read(script, days(2))) == 2
    assert len(script.requests) == 1


_BROKEN: dict[str, tuple[list[httpx2.Response], type[errors.ApiError]]] = {
    "ends early": ([page([FIRST, _SECOND])], errors.IncompletePagination),
    "ends early on a second page": ([page([FIRST], "2"), page([_SECOND])], errors.IncompletePagination),
    "an empty page": ([page([])], errors.IncompletePagination),
    "an empty page before the end": (
        [page([FIRST], "2"), page([], "3"), page([_SECOND, _THIRD])],
        errors.IncompletePagination,
    ),
    "more without a cursor": ([page([FIRST], has_more=True)], errors.IncompletePagination),
    "more without a cursor on the last day": ([page(days(3), has_more=True)], errors.IncompletePagination),
    "more with an empty cursor": ([page([FIRST], "", has_more=True)], errors.IncompletePagination),
    "a cursor that leads to itself": (
        [page([FIRST], "2"), page([_SECOND], "2"), page([_THIRD])],
        errors.IncompletePagination,
    ),
    "cursors in a loop": ([page([FIRST], "2"), page([_SECOND], "3"), page([FIRST], "2")], errors.UnexpectedBucket),
    "a repeated page": ([page([FIRST], "2"), page([FIRST], "3")], errors.UnexpectedBucket),
    "a day is missing": ([page([FIRST, _THIRD])], errors.UnexpectedBucket),
    "the first day is missing": ([page([_SECOND, _THIRD])], errors.UnexpectedBucket),
    "a day is missing between pages": ([page([FIRST], "2"), page([_THIRD])], errors.UnexpectedBucket),
    "a repeated day": ([page([FIRST, FIRST, _SECOND, _THIRD])], errors.UnexpectedBucket),
    "days are out of order": ([page([_SECOND, FIRST, _THIRD])], errors.UnexpectedBucket),
    "a day before the range": ([page([FIRST - ONE_DAY, FIRST, _SECOND, _THIRD])], errors.UnexpectedBucket),
    "a day after the range": ([page([FIRST, _SECOND, _THIRD, _FOURTH])], errors.UnexpectedBucket),
    "a bucket that begins at noon": ([page([{**bucket(FIRST), "start_time": 1772366400}])], errors.UnexpectedBucket),
    "milliseconds": ([page([{**bucket(FIRST), "start_time": 1772323200000}])], errors.UnexpectedBucket),
    "a time that is a string": ([page([{**bucket(FIRST), "start_time": "1772323200"}])], errors.UnexpectedSchema),
    "a bucket without results": ([page([{"start_time": 1772323200, "end_time": 1772409600}])], errors.UnexpectedSchema),
    "a bucket that is not an object": (
        [httpx2.Response(200, content=b'{"data": [1], "has_more": false}')],
        errors.UnexpectedSchema,
    ),
    "a line item that is not a string": ([page([bucket(FIRST, {"line_item": 1})])], errors.UnexpectedSchema),
    "an hour": ([page([{**bucket(FIRST), "end_time": 1772326800}])], errors.UnexpectedBucket),
    "two days": ([page([{**bucket(FIRST), "end_time": 1772496000}])], errors.UnexpectedBucket),
    "a day that ends before it begins": ([page([{**bucket(FIRST), "end_time": 1772236800}])], errors.UnexpectedBucket),
    "a start of half a second": ([page([{**bucket(FIRST), "start_time": 1772323200.5}])], errors.UnexpectedBucket),
    "an end of half a second": ([page([{**bucket(FIRST), "end_time": 1772409600.5}])], errors.UnexpectedBucket),
    "noon without an end": ([page([{"start_time": 1772366400, "results": []}])], errors.UnexpectedBucket),
    "two days without an end": (
        [page([{"start_time": unix_midnight(day), "results": []} for day in (FIRST, _THIRD)])],
        errors.UnexpectedBucket,
    ),
}


@pytest.mark.parametrize("name", _BROKEN)
def test_incomplete_pages_raise(name: str) -> None:
    replies, kind = _BROKEN[name]
    script = Script(*replies, page([], "never"))
    with pytest.raises(errors.ApiError) as raised:
        read(script, days(3))
    assert type(raised.value) is kind
    assert str(FIRST) in str(raised.value)
    assert len(script.requests) <= 3


def test_refusal_on_a_later_page_is_raised() -> None:
    script = Script(
        page([FIRST], "2"),
        refusal(400, "Earliest supported start date: 2026-03-02 (UTC).", code="reporting_lookback_exceeded"),
    )
    with pytest.raises(errors.LookbackExceeded) as raised:
        read(script, days(3))
    assert raised.value.earliest == _SECOND


def test_failed_later_page_is_retried_with_the_same_token() -> None:
    script = Script(page([FIRST], "2"), refusal(503), page([_SECOND]))
    assert len(read(script, days(2))) == 2
    assert script.queries()[1] == script.queries()[2]


def test_guard_takes_the_organization_of_the_first_row_with_an_id() -> None:
    guard = OrganizationGuard(None)
    read(Script(page([bucket(FIRST, row(None), row("org-A"), row("org-A"))])), days(1), guard=guard)
    assert guard.organization_id == "org-A"


def test_rows_of_another_organization_raise_with_both_ids() -> None:
    script = Script(page([bucket(FIRST, row("org-A")), bucket(_SECOND, row("org-B"))]))
    with pytest.raises(errors.WrongOrganization, match=r"org-B.*org-A"):
        read(script, days(2), guard=OrganizationGuard("org-A"))


def test_guard_applies_to_later_pages_and_queries() -> None:
    guard = OrganizationGuard(None)
    script = Script(page([bucket(FIRST, row("org-A"))], "2"), page([bucket(_SECOND, row("org-B"))]))
    with pytest.raises(errors.WrongOrganization):
        read(script, days(2), guard=guard)
    with pytest.raises(errors.WrongOrganization):
        read(Script(page([bucket(FIRST, row("org-B"))])), days(1), guard=guard)
    assert guard.organization_id == "org-A"


def test_rows_without_organization_id_are_accepted() -> None:
    guard = OrganizationGuard("org-A")
    assert len(read(Script(page([bucket(FIRST, row(None))])), days(1), guard=guard)) == 1
    assert guard.organization_id == "org-A"


def test_grouping_is_served_unless_the_api_refuses_it() -> None:
    script = Script(page([FIRST]), refusal(400, "no", param="group_by"))
    with script.api() as api:
        assert is_grouping_served(api, FIRST, GROUPINGS[0])
        assert not is_grouping_served(api, FIRST, GROUPINGS[0])
    assert len(script.requests) == 2


def test_any_other_error_of_a_probe_is_raised() -> None:
    with Script(refusal(401)).api() as api, pytest.raises(errors.AuthenticationFailed):
        is_grouping_served(api, FIRST, GROUPINGS[0])


@pytest.mark.parametrize("deviations", [Deviations(), Deviations.none()], ids=["live API", "specification"])
def test_simulated_year_is_read_completely_and_exactly(deviations: Deviations) -> None:
    organization = SimulatedOrganization(api_keys_from=None)
    requested_days = days(365, NOW.date() - 364 * ONE_DAY)
    with (
        Simulator([organization], deviations, clock=lambda: NOW) as simulator,
        AdminApi(ConnectionSettings(simulator.base_url, lambda: organization.admin_key)) as api,
    ):
        guard = OrganizationGuard(None)
        buckets = list(read_costs(api, requested_days, GROUPINGS[1], guard))
        assert len(simulator.requests) == api.requests == 3
        assert {request.method for request in simulator.requests} == {"GET"}
    assert [bucket_of_day.day for bucket_of_day in buckets] == list(requested_days)
    assert guard.organization_id == (organization.organization_id if deviations.undocumented_fields else None)
    bucket_of_day = buckets[200]
    found = sum((parse_cost(cost).amount or Decimal(0) for cost in bucket_of_day.rows), Decimal(0))
    assert found == sum((fact.amount or Decimal(0) for fact in organization.facts(bucket_of_day.day)), Decimal(0))


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.MORE_WITHOUT_CURSOR, errors.IncompletePagination),
        (FaultKind.MISSING_DAY, errors.UnexpectedBucket),
        (FaultKind.WRONG_ORGANIZATION, errors.WrongOrganization),
    ],
)
def test_faulty_page_over_http_raises(kind: FaultKind, error: type[errors.ApiError]) -> None:
    organization = SimulatedOrganization()
    with (
        Simulator([organization], clock=lambda: NOW) as simulator,
        AdminApi(ConnectionSettings(simulator.base_url, lambda: organization.admin_key)) as api,
    ):
        simulator.faults.queue(Fault(kind))
        with pytest.raises(error):
            list(read_costs(api, days(5), UNGROUPED, OrganizationGuard(organization.organization_id)))


def test_repeated_page_over_http_raises_after_two_requests() -> None:
    organization = SimulatedOrganization(api_keys_from=None)
    with (
        Simulator([organization], clock=lambda: NOW) as simulator,
        AdminApi(ConnectionSettings(simulator.base_url, lambda: organization.admin_key)) as api,
    ):
        simulator.faults.ratio(1, seed=1, kinds=[FaultKind.REPEATED_CURSOR])
        with pytest.raises(errors.UnexpectedBucket):
            list(read_costs(api, days(200, dt.date(2025, 8, 1)), UNGROUPED, OrganizationGuard(None)))
        assert len(simulator.requests) <= 2
