"""Tests of the faults over HTTP: their effect, and the choice of the requests."""

import gzip
import http.client
import json
import socket
import time
from datetime import date, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest

from openai_costs_dagster.simulator import Fault, FaultKind, SimulatedOrganization, Simulator

from .http_requests import get, parsed, seconds, window

FIRST, END = date(2026, 2, 2), date(2026, 2, 7)
QUERY = window(FIRST, END, group_by="line_item")


def broken(simulator: Simulator, kind: FaultKind, seconds: float = 1) -> httpx2.Response:
    simulator.faults.queue(Fault(kind, seconds))
    response = get(simulator, QUERY)
    assert simulator.requests[-1].fault == Fault(kind, seconds)
    assert simulator.requests[-1].status == response.status_code
    return response


def test_rate_limit_fault_has_retry_after_in_seconds_as_a_date_or_not_at_all(simulator: Simulator) -> None:
    in_seconds = broken(simulator, FaultKind.RATE_LIMITED_SECONDS, 7)
    as_date = broken(simulator, FaultKind.RATE_LIMITED_DATE, 90)
    without_header = broken(simulator, FaultKind.RATE_LIMITED)
    assert {in_seconds.status_code, as_date.status_code, without_header.status_code} == {429}
    assert in_seconds.headers["Retry-After"] == "7"
    wait = parsedate_to_datetime(as_date.headers["Retry-After"]) - parsedate_to_datetime(as_date.headers["Date"])
    assert timedelta(seconds=89) <= wait <= timedelta(seconds=90)
    assert "Retry-After" not in without_header.headers
    assert without_header.json()["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        (FaultKind.SERVER_ERROR, 500, "application/json"),
        (FaultKind.BAD_GATEWAY, 502, "text/html; charset=UTF-8"),
        (FaultKind.UNAVAILABLE, 503, "application/json"),
        (FaultKind.GATEWAY_TIMEOUT, 504, "text/html; charset=UTF-8"),
        (FaultKind.HTML, 200, "text/html; charset=UTF-8"),
    ],
)
def test_error_fault_has_its_status_and_content_type(
    simulator: Simulator, kind: FaultKind, status: int, content_type: str
) -> None:
    response = broken(simulator, kind)
    assert (response.status_code, response.headers["Content-Type"]) == (status, content_type)
    if content_type == "application/json":
        assert response.json()["error"]["message"]
    else:
        assert response.text.startswith("<html>")


def test_cut_body_ends_before_its_content_length(simulator: Simulator) -> None:
    simulator.faults.queue(Fault(FaultKind.CUT_BODY))
    address = urlsplit(simulator.base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    key = {"Authorization": f"Bearer {simulator.organizations[0].admin_key}"}
    connection.request("GET", f"{address.path}/organization/costs?{urlencode(QUERY)}", headers=key)
    response = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as raised:
        response.read()
    connection.close()
    assert raised.value.expected is not None
    assert 0 < len(raised.value.partial) <= raised.value.expected + 1
    assert response.status == 200


def test_reset_happens_before_any_response(simulator: Simulator) -> None:
    simulator.faults.queue(Fault(FaultKind.RESET))
    address = urlsplit(simulator.base_url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        connection.sendall(b"GET /v1/organization/costs HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert simulator.requests[-1].status is None


def test_long_hang_ends_with_the_simulator(
    organization: SimulatedOrganization,
) -> None:
    started = time.monotonic()
    with Simulator([organization]) as simulator:
        simulator.faults.queue(Fault(FaultKind.HANG, seconds=600))
        with (
            httpx2.Client(trust_env=False, timeout=httpx2.Timeout(10, read=0.1)) as client,
            pytest.raises(httpx2.ReadTimeout),
        ):
            client.get(f"{simulator.base_url}/organization/costs")
    assert time.monotonic() - started < 5


def test_short_hang_ends_with_the_correct_response(simulator: Simulator) -> None:
    assert broken(simulator, FaultKind.HANG, seconds=0.01).text == get(simulator, QUERY).text


def test_truncated_json_has_a_matching_content_length(simulator: Simulator) -> None:
    response = broken(simulator, FaultKind.CUT_JSON)
    assert response.status_code == 200
    assert get(simulator, QUERY).text.startswith(response.text)
    with pytest.raises(json.JSONDecodeError):
        response.json()


def test_more_without_cursor_fault_returns_has_more_and_no_cursor(simulator: Simulator) -> None:
    page = parsed(broken(simulator, FaultKind.MORE_WITHOUT_CURSOR))
    assert (page["has_more"], page["next_page"]) == (True, None)


def test_repeated_cursor_returns_its_own_page(simulator: Simulator) -> None:
    query = {**QUERY, "limit": 2}
    second = {**query, "page": parsed(get(simulator, query))["next_page"]}
    simulator.faults.queue(Fault(FaultKind.REPEATED_CURSOR))
    assert parsed(get(simulator, second))["next_page"] == second["page"]
    simulator.faults.queue(Fault(FaultKind.REPEATED_CURSOR))
    first = parsed(get(simulator, query))
    assert parsed(get(simulator, {**query, "page": first["next_page"]}))["data"] == first["data"]


@pytest.mark.parametrize("day", [None, FIRST])
def test_missing_day_is_removed_from_the_page(simulator: Simulator, day: date | None) -> None:
    simulator.faults.queue(Fault(FaultKind.MISSING_DAY, day=day))
    starts = {bucket["start_time"] for bucket in parsed(get(simulator, QUERY))["data"]}
    whole = {bucket["start_time"] for bucket in parsed(get(simulator, QUERY))["data"]}
    assert whole - starts == {seconds(day or date(2026, 2, 4))}


def test_wrong_organization_fault_changes_the_id_in_all_rows(simulator: Simulator) -> None:
    page = parsed(broken(simulator, FaultKind.WRONG_ORGANIZATION))
    organization_ids = {row["organization_id"] for bucket in page["data"] for row in bucket["results"]}
    assert organization_ids == {"org-SIMULATEDSOMEONEELSE"}


def test_queued_faults_apply_to_one_request_each_in_order(simulator: Simulator) -> None:
    simulator.faults.queue(Fault(FaultKind.SERVER_ERROR), Fault(FaultKind.UNAVAILABLE))
    assert [get(simulator, QUERY).status_code for _ in range(3)] == [500, 503, 200]


def test_fault_can_be_limited_to_a_path_or_a_key(simulator: Simulator) -> None:
    other = SimulatedOrganization(organization_id="org-SIMULATEDOTHER", admin_key="sk-admin-other")
    simulator.organizations.append(other)
    simulator.faults.queue(Fault(FaultKind.SERVER_ERROR), admin_key=other.admin_key)
    simulator.faults.queue(Fault(FaultKind.UNAVAILABLE), path="/v1/elsewhere")
    assert get(simulator, QUERY).status_code == 200
    assert get(simulator, QUERY, key=other.admin_key).status_code == 500
    assert get(simulator, QUERY, path="/elsewhere").status_code == 503
    assert [request.organization_id for request in simulator.requests[:2]] == [
        "org-SIMULATEDACME",
        "org-SIMULATEDOTHER",
    ]


def test_page_fault_applies_to_the_next_page(simulator: Simulator) -> None:
    simulator.faults.queue(Fault(FaultKind.MISSING_DAY))
    assert get(simulator, {}).status_code == 400
    assert len(parsed(get(simulator, QUERY))["data"]) == 4


def test_random_faults_are_repeatable_and_end_with_clear(simulator: Simulator) -> None:
    def statuses() -> list[int]:
        simulator.faults.clear()
        simulator.faults.ratio(0.5, seed=3, kinds=[FaultKind.SERVER_ERROR, FaultKind.BAD_GATEWAY])
        return [get(simulator, QUERY).status_code for _ in range(20)]

    first = statuses()
    assert first == statuses()
    assert {200, 500, 502} == set(first)
    simulator.faults.clear()
    assert {get(simulator, QUERY).status_code for _ in range(5)} == {200}


def test_body_is_compressed_only_if_the_client_accepts_it(simulator: Simulator) -> None:
    address = urlsplit(simulator.base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    bodies = []
    for encoding in ("identity", "gzip, deflate"):
        headers = {
            "Authorization": f"Bearer {simulator.organizations[0].admin_key}",
            "Accept-Encoding": encoding,
        }
        # Both requests use the same connection, which is kept alive.
        connection.request("GET", f"{address.path}/organization/costs?{urlencode(QUERY)}", headers=headers)
        response = connection.getresponse()
        bodies.append((response.headers.get("Content-Encoding"), response.read()))
    connection.close()
    (plain, whole), (zipped, packed) = bodies
    assert (plain, zipped) == (None, "gzip")
    assert gzip.decompress(packed) == whole
