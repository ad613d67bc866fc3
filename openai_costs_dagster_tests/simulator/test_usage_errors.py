"""Tests of the error responses of usage, and of missing usage endpoints."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from openai_costs_dagster.simulator import Fault, FaultKind, SimulatedOrganization, Simulator

from .full_organization import ALL_ENDPOINTS, full_organization
from .http_requests import NOW, TODAY, USAGE, Parameters, get, parsed, seconds, window

FIRST, END = date(2026, 2, 1), date(2026, 2, 20)


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with Simulator([full_organization()], clock=lambda: NOW) as running:
        yield running


def refused(simulator: Simulator, parameters: Parameters, endpoint: str, status: int = 400) -> Any:
    response = get(simulator, parameters, path=USAGE + endpoint)
    assert response.status_code == status, response.text
    return response.json()["error"]


@pytest.mark.parametrize("endpoint", ALL_ENDPOINTS)
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"start_time": "yesterday"},
        window(TODAY - timedelta(days=366), END),
        window(FIRST, FIRST),
        {"start_time": seconds(FIRST), "end_time": seconds(FIRST) + 86_399},
        window(FIRST, END, limit=0),
        window(FIRST, END, bucket_width="1w"),
        window(FIRST, END, page="page_guessed"),
        window(FIRST, END, surprise="1"),
    ],
    ids=str,
)
def test_usage_and_costs_have_the_same_error_messages(shared: Simulator, endpoint: str, parameters: Parameters) -> None:
    assert refused(shared, parameters, endpoint) == parsed(get(shared, parameters))["error"]


@pytest.mark.parametrize("endpoint", ALL_ENDPOINTS)
def test_usage_page_has_at_most_31_days(shared: Simulator, endpoint: str) -> None:
    assert get(shared, window(FIRST, END, limit=31), path=USAGE + endpoint).status_code == 200
    assert refused(shared, window(FIRST, END, limit=32), endpoint)["param"] == "limit"


@pytest.mark.parametrize(
    ("endpoint", "param", "parameters"),
    [
        ("completions", "group_by", {"group_by": "line_item"}),
        ("completions", "batch", {"batch": "maybe"}),
        ("completions", "bucket_width", {"bucket_width": "1h"}),
        ("completions", "line_items", {"line_items": "Vector storage"}),
        ("embeddings", "batch", {"batch": "true"}),
        ("embeddings", "group_by", {"group_by": "api_source"}),
        ("images", "sizes", {"sizes": "1x1"}),
        ("images", "sources", {"sources": "image.dream"}),
        ("web_search_calls", "context_levels[]", {"context_levels[]": ["low", "deep"]}),
        ("file_search_calls", "models", {"models": "gpt-5.6-sol"}),
        ("vector_stores", "user_ids", {"user_ids": "user-simulated-vera"}),
        ("vector_stores", "group_by", {"group_by": "model"}),
        ("code_interpreter_sessions", "api_key_ids", {"api_key_ids": "key_simulated_acme_omar"}),
    ],
)
def test_each_endpoint_accepts_only_its_own_groups_and_filters(
    shared: Simulator, endpoint: str, param: str, parameters: Parameters
) -> None:
    assert refused(shared, window(FIRST, END, **parameters), endpoint)["param"] == param.removesuffix("[]")


@pytest.mark.parametrize(
    "other",
    [
        {"limit": 6},
        {"end_time": seconds(END) + 1},
        {"start_time": seconds(FIRST) + 1},
        {"group_by": "model"},
        {"models": "gpt-5.6-sol"},
        {"batch": "false"},
    ],
)
def test_page_token_is_valid_only_for_its_query(shared: Simulator, other: Parameters) -> None:
    query = window(FIRST, END, limit=5)
    query["page"] = parsed(get(shared, query, path=USAGE + "completions"))["next_page"]
    assert get(shared, query, path=USAGE + "completions").status_code == 200
    assert refused(shared, {**query, **other}, "completions")["param"] == "page"


def test_page_token_of_another_endpoint_is_refused(shared: Simulator) -> None:
    query = window(FIRST, END, limit=5)
    query["page"] = parsed(get(shared, query, path=USAGE + "completions"))["next_page"]
    for endpoint in set(ALL_ENDPOINTS) - {"completions"}:
        assert refused(shared, query, endpoint)["param"] == "page"
    assert get(shared, query).status_code == 400


def test_missing_endpoint_is_an_unknown_path(organization: SimulatedOrganization, simulator: Simulator) -> None:
    unknown = refused(simulator, window(FIRST, END), "daydreams", status=404)
    missing = refused(simulator, window(FIRST, END), "decisions", status=404)
    assert missing["message"].replace("decisions", "daydreams") == unknown["message"]
    organization.usage_endpoints = {"decisions"}
    assert get(simulator, window(FIRST, END), path=USAGE + "decisions").status_code == 200
    assert refused(simulator, window(FIRST, END), "completions", status=404)


def test_usage_needs_the_usage_scope(organization: SimulatedOrganization, simulator: Simulator) -> None:
    organization.scopes = {"api.management.read"}
    error = refused(simulator, window(FIRST, END), "completions", status=403)
    assert "Missing scopes: api.usage.read. " in error["message"]


def test_usage_serves_groupings_that_costs_refuse(organization: SimulatedOrganization, simulator: Simulator) -> None:
    organization.api_keys_served = organization.users_with_projects_served = False
    query = window(FIRST, END, group_by="project_id,user_id,api_key_id")
    assert get(simulator, query).status_code == 400
    assert get(simulator, query, path=USAGE + "completions").status_code == 200


def test_page_faults_apply_to_usage(simulator: Simulator) -> None:
    simulator.faults.queue(Fault(FaultKind.MISSING_DAY), Fault(FaultKind.MORE_WITHOUT_CURSOR))
    query = window(FIRST, FIRST + timedelta(days=5))
    assert len(parsed(get(simulator, query, path=USAGE + "images"))["data"]) == 4
    assert parsed(get(simulator, query, path=USAGE + "images"))["has_more"] is True


def test_wrong_organization_fault_skips_usage(simulator: Simulator) -> None:
    simulator.faults.queue(Fault(FaultKind.WRONG_ORGANIZATION))
    query = window(FIRST, FIRST + timedelta(days=1))
    get(simulator, query, path=USAGE + "completions")
    assert simulator.requests[-1].fault is None
    assert "org-SIMULATEDSOMEONEELSE" in get(simulator, query).text
