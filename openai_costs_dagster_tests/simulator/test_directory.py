"""Tests of the lists of projects, users, API keys and admin keys."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

from .http_requests import NOW, USAGE, Parameters, get, parsed, rows, window

PROJECTS, USERS, ADMIN_KEYS = "/organization/projects", "/organization/users", "/organization/admin_api_keys"
FIRST, END = date(2026, 2, 2), date(2026, 2, 4)
EVERY_PATH = [PROJECTS, f"{PROJECTS}/proj_simulated_support", f"{PROJECTS}/proj_simulated_support/api_keys", USERS]


def listed(simulator: Simulator, path: str, **parameters: Any) -> list[Any]:
    """Return all entries of a list, page by page."""
    found: list[Any] = []
    query = dict(parameters)
    while True:
        response = get(simulator, query, path=path)
        assert response.status_code == 200, response.text
        page = parsed(response)
        entries = page["data"]
        ends = (entries[0]["id"], entries[-1]["id"]) if entries else (None, None)
        assert (page["object"], page["first_id"], page["last_id"]) == ("list", *ends)
        found += entries
        if not page["has_more"]:
            return found
        query["after"] = page["last_id"]


def keys_of(simulator: Simulator, project_id: str, **parameters: Any) -> list[Any]:
    return listed(simulator, f"{PROJECTS}/{project_id}/api_keys", **parameters)


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_every_project_user_and_key_is_listed_once_with_any_page_size(
    organization: SimulatedOrganization, simulator: Simulator, limit: int
) -> None:
    projects = listed(simulator, PROJECTS, limit=limit)
    assert [(project["id"], project["name"]) for project in projects] == [
        (project.id, project.name) for project in organization.projects
    ]
    users = listed(simulator, USERS, limit=limit)
    assert [(user["id"], user["email"]) for user in users] == [(user.id, user.email) for user in organization.users]
    keys = [key for project in projects for key in keys_of(simulator, project["id"], limit=limit)]
    assert {key["id"] for key in keys} == {key.id for key in organization.api_keys}


def test_all_ids_in_costs_are_in_the_directory(simulator: Simulator) -> None:
    names = {project["id"]: project["name"] for project in listed(simulator, PROJECTS)}
    emails = {user["id"]: user["email"] for user in listed(simulator, USERS)}
    keys = {(project, key["id"]) for project in names for key in keys_of(simulator, project)}
    for row in rows(simulator, window(FIRST, END, group_by="project_id,user_id,api_key_id")):
        assert row["project_name"] == names.get(row["project_id"])
        assert row["user_email"] == emails.get(row["user_id"])
        assert row["api_key_id"] is None or (row["project_id"], row["api_key_id"]) in keys


def test_single_project_equals_its_list_entry(simulator: Simulator) -> None:
    for project in listed(simulator, PROJECTS):
        assert parsed(get(simulator, {}, path=f"{PROJECTS}/{project['id']}")) == project
    for path in (f"{PROJECTS}/proj_simulated_none", f"{PROJECTS}/proj_simulated_none/api_keys"):
        assert get(simulator, {}, path=path).status_code == 404


def test_key_has_a_user_or_a_service_account_as_owner(simulator: Simulator) -> None:
    owners = {key["id"]: key["owner"] for key in keys_of(simulator, "proj_simulated_storefront")}
    omar, front = owners["key_simulated_acme_omar"], owners["key_simulated_acme_storefront"]
    assert (omar["type"], omar["user"]["email"]) == ("user", "omar@acme-simulated.example")
    assert (front["type"], front["service_account"]["name"]) == ("service_account", "acme storefront")


def test_renamed_project_has_the_new_name_and_the_same_costs(
    organization: SimulatedOrganization, simulator: Simulator
) -> None:
    query = window(FIRST, END, group_by="project_id")
    before = rows(simulator, query)
    organization.rename_project("proj_simulated_support", "=Help & <care>")
    after = rows(simulator, query)
    assert [row["amount"] for row in before] == [row["amount"] for row in after]
    named = {row["project_id"]: row["project_name"] for row in after}
    assert named["proj_simulated_support"] == "=Help & <care>"
    assert named["proj_simulated_storefront"] == "Storefront"
    assert {project["id"]: project["name"] for project in listed(simulator, PROJECTS)}.items() >= {
        ("proj_simulated_support", "=Help & <care>")
    }


def test_archived_project_is_listed_on_request_and_lists_no_keys(
    organization: SimulatedOrganization, simulator: Simulator
) -> None:
    query = window(FIRST, END, group_by="project_id")
    before = get(simulator, query).text
    organization.archive_project("proj_simulated_support", datetime(2026, 3, 1, 8, tzinfo=UTC))
    assert "proj_simulated_support" not in {project["id"] for project in listed(simulator, PROJECTS)}
    everything = {project["id"]: project for project in listed(simulator, PROJECTS, include_archived="true", limit=2)}
    assert everything["proj_simulated_support"]["status"] == "archived"
    assert everything["proj_simulated_support"]["archived_at"] == 1_772_352_000
    assert everything["proj_simulated_storefront"]["archived_at"] is None
    path = f"{PROJECTS}/proj_simulated_support"
    assert get(simulator, {}, path=path).json()["status"] == "archived"
    refused = get(simulator, {"owner_project_access": "any"}, path=f"{path}/api_keys")
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    assert get(simulator, query).text == before


def test_keys_of_a_deleted_user_are_inactive_and_listed_on_request(
    organization: SimulatedOrganization, simulator: Simulator
) -> None:
    organization.delete_user("user-simulated-omar")
    assert [user["email"] for user in listed(simulator, USERS)] == ["vera@acme-simulated.example"]

    def access(**parameters: str) -> dict[str, str]:
        return {
            key["id"]: key["owner_project_access"] for key in keys_of(simulator, "proj_simulated_support", **parameters)
        }

    vera, omar = {"key_simulated_acme_support": "active"}, {"key_simulated_acme_omar": "inactive"}
    assert access() == access(owner_project_access="active") == vera
    assert access(owner_project_access="inactive") == omar
    assert access(owner_project_access="any") == {**vera, **omar}


def test_deleted_key_is_not_listed_and_its_costs_stay(
    organization: SimulatedOrganization, simulator: Simulator
) -> None:
    query = window(FIRST, END, group_by="api_key_id")
    before = get(simulator, query).text
    organization.delete_key("key_simulated_acme_support")
    found = {key["id"] for key in keys_of(simulator, "proj_simulated_support", owner_project_access="any")}
    assert found == {"key_simulated_acme_omar"}
    assert get(simulator, query).text == before


def test_list_continues_after_an_archived_entry(organization: SimulatedOrganization, simulator: Simulator) -> None:
    first = parsed(get(simulator, {"limit": 1}, path=PROJECTS))["last_id"]
    organization.archive_project(first, NOW)
    assert len(listed(simulator, PROJECTS, after=first)) == len(organization.projects) - 1


def test_users_are_filtered_by_email(simulator: Simulator) -> None:
    emails = ["vera@acme-simulated.example", "nobody@acme-simulated.example"]
    for spelling in ("emails", "emails[]"):
        assert [user["id"] for user in listed(simulator, USERS, **{spelling: emails})] == ["user-simulated-vera"]


def test_admin_key_is_listed_redacted_with_its_expiry(
    organization: SimulatedOrganization, simulator: Simulator
) -> None:
    organization.admin_key_expires = NOW + timedelta(days=9)
    (before,) = listed(simulator, ADMIN_KEYS, order="desc")
    assert before["expires_at"] - before["last_used_at"] == 9 * 86_400
    assert organization.admin_key not in get(simulator, {}, path=ADMIN_KEYS).text
    organization.rotate_key("sk-admin-rotated")
    (after,) = listed(simulator, ADMIN_KEYS)
    assert (after["redacted_value"], after["id"] == before["id"]) == ("sk-admin...ted", False)


@pytest.mark.parametrize("path", [*EVERY_PATH, ADMIN_KEYS])
def test_directories_need_the_management_scope_and_costs_do_not(
    organization: SimulatedOrganization, simulator: Simulator, path: str
) -> None:
    assert get(simulator, {}, path=path).status_code == 200
    assert get(simulator, {}, path=path, method="POST").status_code == 405
    organization.scopes = {"api.usage.read"}
    error = get(simulator, {}, path=path)
    assert error.status_code == 403
    assert "Missing scopes: api.management.read. " in error.json()["error"]["message"]
    assert get(simulator, window(FIRST, END)).status_code == 200
    assert get(simulator, window(FIRST, END), path=USAGE + "completions").status_code == 200


@pytest.mark.parametrize(
    ("path", "param", "parameters"),
    [
        (PROJECTS, "limit", {"limit": 0}),
        (PROJECTS, "limit", {"limit": 101}),
        (PROJECTS, "after", {"after": "proj_simulated_none"}),
        (PROJECTS, "include_archived", {"include_archived": "yes"}),
        (PROJECTS, "page", {"page": "2"}),
        (EVERY_PATH[1], "limit", {"limit": 1}),
        (EVERY_PATH[2], "owner_project_access", {"owner_project_access": "all"}),
        (USERS, "limit", {"limit": "many"}),
        (ADMIN_KEYS, "order", {"order": "up"}),
    ],
)
def test_error_for_a_wrong_parameter_names_the_parameter(
    simulator: Simulator, path: str, param: str, parameters: Parameters
) -> None:
    response = get(simulator, parameters, path=path)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("path", [f"{PROJECTS}/", f"{PROJECTS}/a/b", f"{PROJECTS}/a/api_keys/b", f"{USERS}/a"])
def test_unknown_path_is_not_found(simulator: Simulator, path: str) -> None:
    response = get(simulator, {}, path=path)
    assert response.status_code == 404
    assert response.json()["error"]["message"].startswith("Invalid URL")


def test_changes_of_unknown_entries_raise(organization: SimulatedOrganization) -> None:
    with pytest.raises(ValueError, match="proj_simulated_none"):
        organization.rename_project("proj_simulated_none", "None")
    with pytest.raises(ValueError, match="proj_simulated_none"):
        organization.archive_project("proj_simulated_none", NOW)
    with pytest.raises(ValueError, match="user-simulated-none"):
        organization.delete_user("user-simulated-none")
    with pytest.raises(ValueError, match="key_simulated_none"):
        organization.delete_key("key_simulated_none")
