"""Tests of `AdminApi`: allowed requests, keys, retries and proxies."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from email.utils import format_datetime

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import BACKGROUND, INTERACTIVE, AdminApi, ConnectionSettings, RetryPolicy
from openai_costs_dagster.api.costs import COSTS_PATH
from openai_costs_dagster.api.response_types import WirePage
from openai_costs_dagster.simulator import Fault, FaultKind, SimulatedOrganization, Simulator

from .conftest import Pauses
from .scripted_api import FIRST, KEY, NOW, Script, page, refusal

_PAGE = page([FIRST])
_QUERY = [("start_time", "1772323200"), ("end_time", "1772409600"), ("bucket_width", "1d"), ("limit", "1")]


def _as_json(value: object) -> bytes:
    return json.dumps({"data": value}).encode()


def _read(settings: ConnectionSettings) -> int:
    with AdminApi(settings) as api:
        return len(api.get(COSTS_PATH, _QUERY, WirePage).data)


def test_request_is_a_get_with_the_key_as_bearer_token() -> None:
    script = Script(_PAGE)
    with script.api() as api:
        api.get(COSTS_PATH, [("group_by", "project_id"), ("group_by", "line_item")], WirePage)
    (request,) = script.requests
    assert request.method == "GET"
    assert str(request.url) == "https://api.example/v1/organization/costs?group_by=project_id&group_by=line_item"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["User-Agent"].startswith("openai-costs-dagster/")
    assert request.content == b""


@pytest.mark.parametrize(
    "path",
    [
        "/organization/certificates",
        "/organization/costs/",
        "/organization/costs/../admin_api_keys",
        "/organization/costs?x=1",
        "/organization/invites",
        "/organization/usage/",
        "/organization/users/user-1",
        "/organization/projects/../users",
        "organization/costs",
        "https://elsewhere.example/organization/costs",
        "",
    ],
)
def test_unlisted_path_is_never_requested(path: str) -> None:
    script = Script(_PAGE)
    with script.api() as api, pytest.raises(errors.RequestRefused, match="list of paths"):
        api.get(path, [], WirePage)
    assert script.requests == []


@pytest.mark.parametrize("key", ["sk-proj-abc123", "sk-svcacct-abc123"])
def test_project_and_service_account_keys_are_rejected_without_a_request(key: str) -> None:
    script = Script(_PAGE)
    with pytest.raises(errors.AuthenticationFailed) as raised:
        script.api(key=key)
    assert script.requests == []
    assert raised.value.status is None
    assert "admin key" in str(raised.value)
    assert "abc123" not in str(raised.value)


def test_client_recognizes_its_own_key_in_redacted_form() -> None:
    with Script(_PAGE).api(key="sk-admin-abcdef") as api:
        assert api.is_own("sk-admin...def")
        assert not api.is_own("sk-admin...xyz")
        assert not api.is_own("sk-admin...")
        assert not api.is_own("sk-admin-abcdef")
        assert not api.is_own(None)


def test_fingerprint_differs_by_key_and_does_not_contain_the_key() -> None:
    with Script(_PAGE).api(key="sk-admin-a") as first, Script(_PAGE).api(key="sk-admin-a") as same:
        assert first.fingerprint == same.fingerprint
        assert b"sk-admin" not in first.fingerprint
    with Script(_PAGE).api(key="sk-admin-b") as other:
        assert other.fingerprint != first.fingerprint


@pytest.mark.parametrize("key", ["sk-admin-abc", "sk-abc", "anything-a-proxy-takes"])
def test_keys_with_any_other_prefix_are_sent(key: str) -> None:
    script = Script(_PAGE)
    with script.api(key=key) as api:
        api.get(COSTS_PATH, _QUERY, WirePage)
    assert script.requests[0].headers["Authorization"] == f"Bearer {key}"


@pytest.mark.parametrize(
    "key",
    ["sk-admin-abc\u2026wxyz", "sk-admin-\u00e4bc", "sk-admin-first\nsk-admin-second", "sk-admin-first second"],
    ids=["shortened", "not ASCII", "two lines", "two words"],
)
def test_key_with_invalid_characters_is_rejected_without_a_request(key: str) -> None:
    with Simulator([SimulatedOrganization()]) as simulator:
        with pytest.raises(errors.AuthenticationFailed) as raised:
            _read(ConnectionSettings(simulator.base_url, lambda: key))
        assert simulator.requests == []
    assert not any(part in str(raised.value) for part in ("abc", "wxyz", "first", "second"))


def test_rotated_key_is_used_by_the_next_client() -> None:
    keys = iter(["sk-admin-old", "sk-admin-new"])
    script = Script(_PAGE)
    settings = ConnectionSettings("https://api.example/v1", lambda: next(keys))
    for key in ("sk-admin-old", "sk-admin-new"):
        with AdminApi(settings, transport=httpx2.MockTransport(script)) as api:
            api.get(COSTS_PATH, _QUERY, WirePage)
        assert script.requests[-1].headers["Authorization"] == f"Bearer {key}"


_TRANSIENT: dict[str, tuple[httpx2.Response | Exception, type[errors.TransientApiError]]] = {
    "429": (refusal(429), errors.RateLimited),
    "500": (refusal(500), errors.ServerError),
    "502 in HTML": (httpx2.Response(502, html="<html>502 Bad Gateway</html>"), errors.ServerError),
    "503": (refusal(503), errors.ServerError),
    "504 in HTML": (httpx2.Response(504, html="<html>504</html>"), errors.ServerError),
    "408": (refusal(408), errors.ServerError),
    "200 in HTML": (httpx2.Response(200, html="<html>Just a moment...</html>"), errors.MalformedResponse),
    "200 without a body": (httpx2.Response(200), errors.MalformedResponse),
    "truncated JSON": (httpx2.Response(200, content=_PAGE.content[:-20]), errors.MalformedResponse),
    "an error with status 200": (httpx2.Response(200, content=refusal(500).content), errors.MalformedResponse),
    "deeply nested JSON": (httpx2.Response(200, content=b'{"x":' + b"[" * 100_000), errors.MalformedResponse),
    "no connection": (httpx2.ConnectError("refused"), errors.Unreachable),
    "a reset": (httpx2.ReadError("reset by peer"), errors.Unreachable),
    "a truncated body": (httpx2.RemoteProtocolError("peer closed connection"), errors.Unreachable),
    "a read timeout": (httpx2.ReadTimeout("slow"), errors.Unreachable),
    "a connect timeout": (httpx2.ConnectTimeout(""), errors.Unreachable),
    "a body that cannot be unzipped": (httpx2.DecodingError("incorrect header check"), errors.Unreachable),
    "a proxy that fails": (httpx2.ProxyError("502 Bad Gateway"), errors.Unreachable),
}


@pytest.mark.parametrize("name", _TRANSIENT)
def test_temporary_errors_are_retried_until_success(name: str, pauses: Pauses) -> None:
    failure, _ = _TRANSIENT[name]
    script = Script(failure, failure, _PAGE)
    with script.api() as api:
        assert len(api.get(COSTS_PATH, _QUERY, WirePage).data) == 1
        assert api.requests == 3
    assert [request.url for request in script.requests] == [script.requests[0].url] * 3
    assert len(pauses) == 2


@pytest.mark.parametrize("name", _TRANSIENT)
def test_persistent_temporary_error_is_raised_after_ten_attempts(name: str, pauses: Pauses) -> None:
    failure, kind = _TRANSIENT[name]
    script = Script(failure)
    with script.api() as api:
        with pytest.raises(errors.TransientApiError) as raised:
            api.get(COSTS_PATH, _QUERY, WirePage)
        assert api.requests == 10
    assert type(raised.value) is kind
    assert len(script.requests) == 10
    for number, pause in enumerate(pauses):
        least = min(60.0, 0.5 * 2**number)
        assert least <= pause <= min(60.0, least + 1.0)


@pytest.mark.parametrize(
    "body", [b"[]", b'"text"', b"12", b"{}", b'{"data": {}}', b'{"data": [], "next_page": 7}', b'{"error": null}']
)
def test_json_with_another_format_is_not_retried(body: bytes, pauses: Pauses) -> None:
    script = Script(httpx2.Response(200, content=body))
    with script.api() as api, pytest.raises(errors.UnexpectedSchema) as raised:
        api.get(COSTS_PATH, _QUERY, WirePage)
    assert raised.value.status == 200
    assert len(script.requests) == 1
    assert pauses == []


@given(st.binary(max_size=40) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(_as_json))
@example(b'{"data": {}, "error": {"message": "\xff"}}')
@example(b'{"data": ' + b"[" * 100_000)
def test_any_body_is_a_page_or_an_error_of_the_api(body: bytes) -> None:
    script = Script(httpx2.Response(200, content=body))
    with script.api(retry_policy=RetryPolicy(attempts=1)) as api, contextlib.suppress(errors.ApiError):
        assert isinstance(api.get(COSTS_PATH, _QUERY, WirePage), WirePage)


def test_interactive_policy_makes_fewer_attempts(pauses: Pauses) -> None:
    script = Script(refusal(503))
    with script.api(retry_policy=INTERACTIVE) as api, pytest.raises(errors.ServerError):
        api.get(COSTS_PATH, _QUERY, WirePage)
    assert len(script.requests) == INTERACTIVE.attempts == 3
    assert sum(pauses) <= INTERACTIVE.seconds == 20


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 30 ", 30),
        ("180", 180),
        (format_datetime(NOW + dt.timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW + dt.timedelta(seconds=90)), 90),
        ("Wednesday, 11-Mar-26 14:30:45 GMT", 45),
        ("Wed Mar 11 14:30:45 2026", 45),
    ],
)
def test_retry_after_is_respected_to_the_second(status: int, value: str, seconds: float, pauses: Pauses) -> None:
    script = Script(refusal(status, headers=[("Retry-After", value)]), _PAGE)
    with script.api() as api:
        api.get(COSTS_PATH, _QUERY, WirePage)
    assert pauses == [seconds]


def test_retry_after_in_milliseconds_is_respected(pauses: Pauses) -> None:
    script = Script(refusal(429, headers=[("retry-after-ms", "7250"), ("Retry-After", "8")]), _PAGE)
    with script.api() as api:
        api.get(COSTS_PATH, _QUERY, WirePage)
    assert pauses == [7.25]


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "0"},
        {"Retry-After": "1"},
        {"Retry-After": "0.001"},
        {"Retry-After": "-5"},
        {"Retry-After": format_datetime(NOW, usegmt=True)},
        {"Retry-After": format_datetime(NOW - dt.timedelta(days=400), usegmt=True)},
        {"retry-after-ms": "0"},
        {"retry-after-ms": "12.5"},
        {"retry-after-ms": "-1", "Retry-After": "0"},
        {"x-ratelimit-reset-requests": "1ms"},
        # The date is a minute in the past for the server, although it is in the future for a clock that is behind.
        {
            "Retry-After": format_datetime(NOW + dt.timedelta(hours=1), usegmt=True),
            "Date": format_datetime(NOW + dt.timedelta(hours=1, minutes=1), usegmt=True),
        },
    ],
    ids=str,
)
def test_short_retry_after_does_not_shorten_the_backoff(headers: dict[str, str], pauses: Pauses) -> None:
    script = Script(refusal(429, headers=list(headers.items())))
    with script.api() as api, pytest.raises(errors.RateLimited):
        api.get(COSTS_PATH, _QUERY, WirePage)
    assert len(pauses) == 9
    for number, pause in enumerate(pauses):
        least = min(60.0, 0.5 * 2**number)
        assert max(least, float(headers.get("Retry-After") == "1")) <= pause <= min(60.0, least + 1.0)
    assert sum(pauses) > 180


def test_retry_after_date_counts_from_the_clock_of_the_server(pauses: Pauses) -> None:
    server = NOW - dt.timedelta(days=1)
    date, until = (format_datetime(server + dt.timedelta(seconds=wait), usegmt=True) for wait in (0, 40))
    script = Script(refusal(503, headers=[("Date", date), ("Retry-After", until)]), _PAGE)
    with script.api() as api:
        api.get(COSTS_PATH, _QUERY, WirePage)
    assert pauses == [40]


@pytest.mark.parametrize(
    "value", ["181", "3600", "99999999", format_datetime(NOW + dt.timedelta(hours=1), usegmt=True)]
)
def test_retry_after_beyond_the_maximum_is_not_retried(value: str, pauses: Pauses) -> None:
    script = Script(refusal(429, headers=[("Retry-After", value)]))
    with script.api() as api, pytest.raises(errors.RateLimited):
        api.get(COSTS_PATH, _QUERY, WirePage)
    assert len(script.requests) == 1
    assert pauses == []


@pytest.mark.parametrize(
    "value",
    ["", "soon", "-5", "1e3", "NaN", "Wed, 99 Mar 2026 14:30:00 GMT", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"],
)
def test_unreadable_retry_after_uses_the_default_backoff(value: str, pauses: Pauses) -> None:
    script = Script(refusal(429, headers=[("Retry-After", value)]), _PAGE)
    with script.api() as api:
        api.get(COSTS_PATH, _QUERY, WirePage)
    assert len(pauses) == 1
    assert 0.5 <= pauses[0] <= 1.5


@pytest.mark.parametrize("retry_policy", [BACKGROUND, INTERACTIVE], ids=["background", "interactive"])
@pytest.mark.parametrize("seconds", [50, 100, 170])
def test_retry_after_waits_stay_within_the_retry_policy(
    retry_policy: RetryPolicy, seconds: int, pauses: Pauses
) -> None:
    script = Script(refusal(429, headers=[("Retry-After", str(seconds))]))
    with script.api(retry_policy=retry_policy) as api, pytest.raises(errors.RateLimited):
        api.get(COSTS_PATH, _QUERY, WirePage)
    assert sum(pauses) <= retry_policy.seconds


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.RATE_LIMITED,
        FaultKind.SERVER_ERROR,
        FaultKind.BAD_GATEWAY,
        FaultKind.HTML,
        FaultKind.CUT_BODY,
        FaultKind.CUT_JSON,
        FaultKind.RESET,
    ],
)
def test_fault_on_a_real_connection_is_retried(kind: FaultKind) -> None:
    organization = SimulatedOrganization()
    with (
        Simulator([organization], clock=lambda: NOW) as simulator,
        AdminApi(ConnectionSettings(simulator.base_url, lambda: organization.admin_key)) as api,
    ):
        simulator.faults.queue(Fault(kind), Fault(kind))
        assert len(api.get(COSTS_PATH, _QUERY, WirePage).data) == 1
        assert [request.fault and request.fault.kind for request in simulator.requests] == [kind, kind, None]
        assert {request.method for request in simulator.requests} == {"GET"}


def test_missing_server_is_unreachable_after_ten_attempts() -> None:
    with Simulator([]) as simulator:
        gone = simulator.base_url
    with AdminApi(ConnectionSettings(gone, lambda: KEY)) as api:
        with pytest.raises(errors.Unreachable):
            api.get(COSTS_PATH, _QUERY, WirePage)
        assert api.requests == 10


def test_loopback_addresses_bypass_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    organization = SimulatedOrganization()
    with Simulator([organization], clock=lambda: NOW) as simulator:
        monkeypatch.setenv("HTTP_PROXY", "http://user:password@127.0.0.1:9")
        assert _read(ConnectionSettings(simulator.base_url, lambda: organization.admin_key)) == 1


def test_requests_go_through_the_configured_proxy() -> None:
    organization = SimulatedOrganization()
    with Simulator([organization], clock=lambda: NOW) as proxy:
        address = proxy.base_url.removesuffix("/v1").replace("//", "//user:password@")
        assert _read(ConnectionSettings("http://api.example/v1", lambda: organization.admin_key, lambda: address)) == 1
        assert len(proxy.requests) == 1


@pytest.mark.parametrize(
    "proxy",
    [
        "http://user:hunter22@127.0.0.1:9",
        "http://user:hunter22@127.0.0.1:no",
        "ftp://user:hunter22@127.0.0.1:9",
        "user:hunter22@127.0.0.1:9",
        "socks5://user:hunter22@127.0.0.1:9",
    ],
    ids=["no server", "invalid port", "unknown scheme", "no scheme", "SOCKS"],
)
def test_broken_proxy_is_an_api_error_without_credentials(proxy: str) -> None:
    with pytest.raises(errors.ApiError) as raised:
        _read(ConnectionSettings("https://api.example/v1", lambda: KEY, lambda: proxy))
    assert "hunter22" not in str(raised.value)


@pytest.mark.parametrize("base_url", ["https://api..example/v1", f"https://{'a' * 70}.example/v1"])
def test_invalid_host_name_is_refused(base_url: str) -> None:
    with pytest.raises(errors.ApiError), AdminApi(ConnectionSettings(base_url, lambda: KEY)) as api:
        api.get(COSTS_PATH, _QUERY, WirePage)
