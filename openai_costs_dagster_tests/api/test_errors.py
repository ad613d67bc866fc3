"""Tests of the conversion of error responses into exceptions, and of the redaction of keys in messages."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.costs import COSTS_PATH
from openai_costs_dagster.api.error_responses import error_from_response
from openai_costs_dagster.api.response_types import WirePage
from openai_costs_dagster.days import ONE_DAY, DayRange

from .conftest import Pauses
from .scripted_api import KEY, NOW, Script, refusal

_SCOPES = "You have insufficient permissions for this operation. Missing scopes: {}. Check your role."
_LOOKBACK = "Usage and cost data are available for the past year. Earliest supported start date: 2025-03-11 (UTC)."
_USERS = (
    "Combining user_id with project_id grouping or the project_ids filter is not supported for this organization"
    " and the requested time range."
)

_PERMANENT: dict[str, tuple[httpx2.Response, type[errors.PermanentApiError]]] = {
    "a wrong key": (
        refusal(401, "Incorrect API key provided: sk-admin*****abcd.", code="invalid_api_key"),
        errors.AuthenticationFailed,
    ),
    "a 401 in HTML": (httpx2.Response(401, html="<html>"), errors.AuthenticationFailed),
    "a missing scope, 403": (refusal(403, _SCOPES.format("api.usage.read")), errors.PermissionDenied),
    "a missing scope, 401": (refusal(401, _SCOPES.format("api.usage.read")), errors.PermissionDenied),
    "a missing management scope": (refusal(403, _SCOPES.format("api.management.read")), errors.PermissionDenied),
    "any other 403": (refusal(403, "Country, region, or territory not supported"), errors.PermissionDenied),
    "lookback": (refusal(400, _LOOKBACK, code="reporting_lookback_exceeded"), errors.LookbackExceeded),
    "lookback without a date": (
        refusal(400, "Too early.", code="reporting_lookback_exceeded"),
        errors.LookbackExceeded,
    ),
    "lookback with an invalid date": (
        refusal(400, "Earliest supported start date: 2025-13-45 (UTC).", code="reporting_lookback_exceeded"),
        errors.LookbackExceeded,
    ),
    "a grouping, by an index": (refusal(400, "Unsupported.", param="group_by[2]"), errors.GroupingRefused),
    "a grouping, by a dotted index": (refusal(400, "Unsupported.", param="group_by.2"), errors.GroupingRefused),
    "a grouping, by a path": (refusal(400, "Unsupported.", param="query.group_by[0]"), errors.GroupingRefused),
    "a filter, by an index": (refusal(400, "Unsupported.", param="project_ids[0]"), errors.GroupingRefused),
    "an unknown code": (
        refusal(400, "Something new.", param="x", code="something_new"),
        errors.RequestRefused,
    ),
    "keys before their date": (
        refusal(400, "Invalid start_time.", param="start_time", code="invalid_request_error"),
        errors.GroupingRefused,
    ),
    "users with projects": (refusal(400, _USERS), errors.GroupingRefused),
    "users with projects, by parameter": (refusal(400, _USERS, param="group_by"), errors.GroupingRefused),
    "a grouping, by parameter alone": (refusal(400, "Unsupported.", param="group_by[]"), errors.GroupingRefused),
    "the same day": (
        refusal(400, "end_date must come after start_date", param="end_time", code="invalid_request_error"),
        errors.RequestRefused,
    ),
    "the same day, by start_time": (
        refusal(400, "end_date must come after start_date", param="start_time", code="invalid_request_error"),
        errors.RequestRefused,
    ),
    "a page token of another query": (refusal(400, "Invalid page token.", param="page"), errors.RequestRefused),
    "a page token, with a message about group_by": (
        refusal(400, "Invalid page token: group_by differs.", param="page"),
        errors.RequestRefused,
    ),
    "a limit": (refusal(400, "Invalid 'limit'.", param="limit"), errors.RequestRefused),
    "a 400 in HTML": (httpx2.Response(400, html="<html>"), errors.RequestRefused),
    "another path": (refusal(404, "Invalid URL (GET /v2/organization/costs)"), errors.EndpointNotFound),
    "a method": (refusal(405, "Not allowed."), errors.RequestRefused),
    "payment required": (refusal(402, "Pay."), errors.RequestRefused),
    "a redirect": (
        httpx2.Response(301, headers={"Location": "https://elsewhere.example/v1"}),
        errors.RequestRefused,
    ),
    "no content": (httpx2.Response(204), errors.RequestRefused),
}


@pytest.mark.parametrize("name", _PERMANENT)
def test_permanent_errors_are_raised_without_retry(name: str, pauses: Pauses) -> None:
    response, kind = _PERMANENT[name]
    script = Script(response)
    with script.api() as api, pytest.raises(errors.ApiError) as raised:
        api.get(COSTS_PATH, [], WirePage)
    assert type(raised.value) is kind
    assert raised.value.status == response.status_code
    assert len(script.requests) == 1
    assert pauses == []


def test_redirect_is_not_followed_with_the_key() -> None:
    script = Script(httpx2.Response(302, headers={"Location": "https://elsewhere.example/v1/organization/costs"}))
    with script.api() as api, pytest.raises(errors.RequestRefused, match="set base_url to the final address"):
        api.get(COSTS_PATH, [], WirePage)
    assert {request.url.host for request in script.requests} == {"api.example"}


def test_lookback_error_contains_the_first_served_day() -> None:
    error = error_from_response(400, refusal(400, _LOOKBACK, code="reporting_lookback_exceeded").content, {}, NOW)
    assert isinstance(error, errors.LookbackExceeded)
    assert error.earliest == dt.date(2025, 3, 11)


@pytest.mark.parametrize(
    "text",
    [
        "Earliest supported start date: 2025-04-30 (UTC).",
        "Earliest supported start date: 2025-04-30T00:00:00Z.",
        "Earliest supported start date: 2025-04-30T00:00:00+00:00",
        "Earliest supported start date: 2025/04/30.",
        "Earliest supported start date: April 30, 2025 (UTC).",
        "Earliest supported start date: Apr 30, 2025.",
        "Earliest supported start date: Apr. 30th 2025.",
        "Data is available since 30 April 2025.",
        "Data is available since 30 APR 2025.",
        "Data is available since the 30th of April, 2025.",
        "2025-01-01 is too far back on 2026-03-11; the earliest start date is 2025-04-30.",
        "The earliest start date is April 30, 2025; requested: January 1, 2025.",
    ],
)
def test_first_served_day_is_parsed_in_any_format(text: str) -> None:
    error = error_from_response(400, refusal(400, text, code="reporting_lookback_exceeded").content, {}, NOW)
    assert isinstance(error, errors.LookbackExceeded)
    assert error.earliest == dt.date(2025, 4, 30)


@pytest.mark.parametrize("text", ["Too far back.", "", "From 2025-13-45 on.", "From 31 February 2026 on.", "2025."])
def test_lookback_error_without_a_date_assumes_one_year(text: str) -> None:
    error = error_from_response(400, refusal(400, text, code="reporting_lookback_exceeded").content, {}, NOW)
    assert isinstance(error, errors.LookbackExceeded)
    year_ago = NOW.date() - dt.timedelta(days=365)
    assert error.earliest == year_ago
    window = DayRange(year_ago - 10 * ONE_DAY, NOW.date())
    assert error.served_days(window) == DayRange(year_ago, NOW.date())
    assert error.served_days(DayRange(year_ago, NOW.date())) == DayRange(year_ago + ONE_DAY, NOW.date())
    assert error.served_days(DayRange(year_ago - 9 * ONE_DAY, year_ago - ONE_DAY)) is None
    with pytest.raises(errors.RequestRefused):
        error.served_days(DayRange(year_ago + 8 * ONE_DAY, NOW.date()))


def test_unrecognized_refusal_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    response = refusal(400, f"Something new for {KEY}.", param="made_up", code="made_up_code")
    for _ in range(3):
        with Script(response).api() as api, pytest.raises(errors.RequestRefused):
            api.get(COSTS_PATH, [], WirePage)
    (record,) = [found for found in caplog.records if "made_up_code" in found.getMessage()]
    assert "'made_up'" in record.getMessage()
    assert KEY not in record.getMessage()


def test_unpaired_surrogate_in_an_error_does_not_hide_its_code() -> None:
    body = refusal(400, "Too early \ud83d\0.", code="reporting_lookback_exceeded").content
    error = error_from_response(400, body, {}, NOW)
    assert isinstance(error, errors.LookbackExceeded)
    assert str(error) == "Too early \ufffd\ufffd."


def test_message_of_the_api_is_part_of_the_error() -> None:
    for response, _ in (_PERMANENT["the same day"], _PERMANENT["a missing scope, 403"], _PERMANENT["another path"]):
        message = json.loads(response.content)["error"]["message"]
        assert message in str(error_from_response(response.status_code, response.content, {}, NOW))


def test_every_error_is_permanent_or_transient_and_listed_in_the_tree() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ApiError) and kind is not errors.ApiError
    ]
    assert kinds
    for kind in kinds:
        assert issubclass(kind, errors.PermanentApiError) != issubclass(kind, errors.TransientApiError)
        assert kind.__name__ in (errors.__doc__ or "")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_bodies = st.one_of(
    st.binary(max_size=40),
    _json.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({}, optional={"message": _json, "type": _json, "param": _json, "code": _json}).map(
        lambda error: json.dumps({"error": error}).encode()
    ),
)


@given(st.integers(201, 599), _bodies, st.none() | st.text(max_size=40))
@example(400, b'{"error": {"message": "\xff"}}', None)
@example(400, b'{"error": {"message": ' + b"[" * 100_000, None)
@example(503, b"", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT")
def test_any_status_other_than_200_is_an_error_with_that_status(
    status: int, body: bytes, retry_after: str | None
) -> None:
    error = error_from_response(status, body, {} if retry_after is None else {"retry-after": retry_after}, NOW)
    assert isinstance(error, errors.ApiError)
    assert error.status == status
    assert str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
@pytest.mark.parametrize(
    "message",
    [
        f"Incorrect API key provided: {KEY}.",
        f"Incorrect API key provided: {KEY[:8]}{'*' * 15}{KEY[-4:]}.",
        f"Incorrect API key provided: {KEY[:8]}*\u2026{KEY[-4:]}. You can find it at https://platform.openai.com",
        {"detail": f"Bearer {KEY}"},
    ],
    ids=["complete", "masked", "shortened", "nested"],
)
def test_key_in_an_error_response_is_redacted(status: int, message: Any) -> None:
    script = Script(refusal(status, message))
    with script.api() as api, pytest.raises(errors.ApiError) as raised:
        api.get(COSTS_PATH, [], WirePage)
    text = f"{raised.value} {raised.value!r} {raised.value.args}"
    assert KEY[:12] not in text
    assert KEY[-4:] not in text


def test_key_of_another_provider_in_an_error_response_is_redacted() -> None:
    key = "tok_Another0123456789wxyz"
    script = Script(refusal(401, f"Incorrect API key provided: {key[:8]}{'*' * 9}{key[-4:]}.", code="invalid_api_key"))
    with script.api(key=key) as api, pytest.raises(errors.AuthenticationFailed) as raised:
        api.get(COSTS_PATH, [], WirePage)
    assert key[:8] not in str(raised.value)
    assert key[-4:] not in str(raised.value)


@pytest.mark.parametrize(
    "failure",
    [
        httpx2.ConnectError(f"Illegal header value b'Bearer {KEY}'"),
        httpx2.ProxyError("cannot connect to http://user:password@proxy.example:3128"),
        httpx2.LocalProtocolError(KEY),
    ],
)
def test_connection_failure_is_reported_without_secrets(failure: Exception) -> None:
    script = Script(failure)
    with script.api() as api, pytest.raises(errors.Unreachable) as raised:
        api.get(COSTS_PATH, [], WirePage)
    assert KEY not in str(raised.value)
    assert "password" not in str(raised.value)
