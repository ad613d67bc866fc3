"""Tests of the error responses of costs: refused groupings, windows, parameters, keys and methods."""

from datetime import date, timedelta
from typing import Any

import pytest

from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

from .http_requests import TODAY, Parameters, get, money, parsed, rows, seconds, total, window

FIRST, END = date(2026, 2, 1), date(2026, 2, 20)


def refused(simulator: Simulator, parameters: Parameters, status: int = 400) -> Any:
    response = get(simulator, parameters)
    assert response.status_code == status, response.text
    return response.json()["error"]


def test_api_keys_are_refused_for_windows_before_their_first_day(
    organization: SimulatedOrganization, simulator: Simulator
) -> None:
    organization.api_keys_from = since = date(2025, 12, 6)
    error = refused(simulator, window(since - timedelta(days=1), END, group_by="api_key_id"))
    assert (error["param"], error["code"]) == ("start_time", "invalid_request_error")
    assert get(simulator, window(since, END, group_by="api_key_id")).status_code == 200


def test_api_keys_may_be_refused_for_all_windows(organization: SimulatedOrganization, simulator: Simulator) -> None:
    organization.api_keys_served = False
    assert refused(simulator, window(FIRST, END, group_by="line_item,api_key_id"))["param"] == "group_by"


@pytest.mark.parametrize(
    "together",
    [{"group_by": "user_id,project_id"}, {"group_by": "user_id", "project_ids": ["proj_simulated_support"]}],
)
def test_users_with_projects_may_be_refused(
    organization: SimulatedOrganization, simulator: Simulator, together: Parameters
) -> None:
    query = window(FIRST, END, **together)
    organization.users_with_projects_from = FIRST
    assert get(simulator, query).status_code == 200
    organization.users_with_projects_from = FIRST + timedelta(days=1)
    error = refused(simulator, query)
    assert (error["param"], error["code"]) == ("group_by", "invalid_request_error")
    organization.users_with_projects_from = None
    organization.users_with_projects_served = False
    assert refused(simulator, query) == error


def test_users_by_line_item_are_served_even_if_users_with_projects_are_refused(
    organization: SimulatedOrganization, simulator: Simulator
) -> None:
    organization.users_with_projects_served = False
    users, projects = (
        rows(simulator, window(FIRST, END, group_by=[group, "line_item"])) for group in ("user_id", "project_id")
    )
    sums = [
        {label: total(money(row["amount"]["value"]) for row in found if row["line_item"] == label) for label in labels}
        for found in (users, projects)
        for labels in ({row["line_item"] for row in users + projects},)
    ]
    assert sums[0] == sums[1]
    emails = {user.id: user.email for user in organization.users}
    names = {project.id: project.name for project in organization.projects}
    assert emails.items() <= {row["user_id"]: row["user_email"] for row in users}.items()
    assert names.items() <= {row["project_id"]: row["project_name"] for row in projects}.items()
    assert all(row["project_id"] is row["project_name"] is None for row in users)
    assert all(row["user_id"] is row["user_email"] is None for row in projects)


def test_history_is_a_rolling_year(organization: SimulatedOrganization, simulator: Simulator) -> None:
    earliest = TODAY - timedelta(days=organization.lookback_days)
    assert get(simulator, window(earliest, END)).status_code == 200
    error = refused(simulator, window(earliest - timedelta(days=1), END))
    assert (error["param"], error["code"]) == ("start_time", "reporting_lookback_exceeded")
    assert error["message"] == (
        "Usage and cost data are available for the past year."
        f" Earliest supported start date: {earliest.isoformat()} (UTC)."
    )


@pytest.mark.parametrize("end", [seconds(FIRST) + 86_399, seconds(FIRST), seconds(FIRST) - 86_400])
def test_window_within_one_utc_day_is_refused(simulator: Simulator, end: int) -> None:
    error = refused(simulator, {"start_time": seconds(FIRST), "end_time": end})
    assert error["message"] == "end_date must come after start_date"


@pytest.mark.parametrize(
    ("param", "parameters"),
    [
        ("start_time", {}),
        ("start_time", {"start_time": "yesterday"}),
        ("start_time", {"start_time": -1}),
        ("start_time", {"start_time": 10**17}),
        ("start_time", {"start_time": [seconds(FIRST), seconds(END)]}),
        ("limit", window(FIRST, END, limit=0)),
        ("limit", window(FIRST, END, limit=181)),
        ("limit", window(FIRST, END, limit="7.0")),
        ("bucket_width", window(FIRST, END, bucket_width="1h")),
        ("group_by", window(FIRST, END, group_by="model")),
        ("group_by", window(FIRST, END, group_by="")),
        ("user_ids", window(FIRST, END, user_ids="user-simulated-vera")),
        ("page", window(FIRST, END, page="page_guessed")),
        ("page", window(FIRST, END, page="söme")),
    ],
)
def test_error_for_a_wrong_parameter_names_the_parameter(
    simulator: Simulator, param: str, parameters: Parameters
) -> None:
    assert refused(simulator, parameters)["param"] == param


@pytest.mark.parametrize(
    "other",
    [
        {"limit": 6},
        {"end_time": seconds(END) + 1},
        {"start_time": seconds(FIRST) + 1},
        {"group_by": "line_item"},
        {"project_ids": "proj_simulated_support"},
        {"line_items": "Vector storage"},
    ],
)
def test_page_token_is_valid_only_for_its_query(simulator: Simulator, other: Parameters) -> None:
    query = window(FIRST, END, limit=5)
    query["page"] = parsed(get(simulator, query))["next_page"]
    assert get(simulator, query).status_code == 200
    assert refused(simulator, {**query, **other})["param"] == "page"


def test_page_token_of_another_organization_is_refused(simulator: Simulator) -> None:
    other = SimulatedOrganization(organization_id="org-SIMULATEDOTHER", admin_key="sk-admin-other")
    simulator.organizations.append(other)
    query = window(FIRST, END)
    query["page"] = parsed(get(simulator, query))["next_page"]
    assert get(simulator, query, key=other.admin_key).status_code == 400


def test_error_for_a_wrong_key_contains_parts_of_the_key(simulator: Simulator) -> None:
    response = get(simulator, window(FIRST, END), key="sk-admin-of-someone-else")
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (401, "invalid_api_key")
    assert error["message"] == "Incorrect API key provided: sk-admin************else."
    assert simulator.requests[-1].organization_id is None


def test_revoked_key_stops_working_and_a_rotated_one_works_at_once(
    organization: SimulatedOrganization, simulator: Simulator
) -> None:
    old = organization.admin_key
    organization.revoke_key()
    assert get(simulator, window(FIRST, END), key=old).status_code == 401
    organization.rotate_key("sk-admin-rotated")
    assert get(simulator, window(FIRST, END), key="sk-admin-rotated").status_code == 200
    assert get(simulator, window(FIRST, END), key=old).status_code == 401


def test_error_for_a_missing_scope_names_the_scope(organization: SimulatedOrganization, simulator: Simulator) -> None:
    organization.scopes = {"api.management.read"}
    error = refused(simulator, window(FIRST, END), status=403)
    assert error["message"].startswith(
        "You have insufficient permissions for this operation. Missing scopes: api.usage.read. "
    )


def test_other_methods_are_refused_and_the_connection_stays_usable(simulator: Simulator) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
        response = get(simulator, window(FIRST, END), method=method)
        assert (response.status_code, response.headers["Allow"]) == (405, "GET")


def test_unknown_path_is_not_found(simulator: Simulator) -> None:
    assert get(simulator, {}, path="/organization/invoices").status_code == 404
    assert get(simulator, {}, path="/../v2/organization/costs").status_code == 404
