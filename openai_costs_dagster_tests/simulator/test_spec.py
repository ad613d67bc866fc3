"""Tests of the simulator against the published specification, with and without deviations."""

import importlib
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from openai_costs_dagster.simulator import USAGE_ENDPOINTS, Deviations, SimulatedOrganization, Simulator

from .full_organization import full_organization
from .http_requests import EVERY_GROUPING, NOW, TODAY, USAGE, Parameters, get, rows, window

SPEC = Path(__file__).resolve().parents[2].parent / "shared" / "openai_admin_api.yaml"
FIRST, END = date(2026, 3, 1), TODAY + timedelta(days=1)


@pytest.fixture(scope="module")
def spec() -> Any:
    if not SPEC.is_file():
        pytest.skip("the published spec is not beside the checkout, at ../shared/openai_admin_api.yaml")
    loader = importlib.import_module("yaml")
    return loader.load(SPEC.read_text(), getattr(loader, "CSafeLoader", loader.SafeLoader))


@pytest.fixture(scope="module")
def conforming() -> Iterator[Simulator]:
    organization = SimulatedOrganization(api_keys_from=None, users_with_projects_served=True)
    with Simulator([organization], Deviations.none(), clock=lambda: NOW) as running:
        yield running


@pytest.fixture(scope="module")
def full() -> Iterator[Simulator]:
    """Yield a simulator without deviations whose organization uses every endpoint."""
    with Simulator([full_organization()], Deviations.none(), clock=lambda: NOW) as running:
        yield running


def check(spec: Any, schema: str, text: str) -> None:
    jsonschema = importlib.import_module("jsonschema")
    document = {"$ref": f"#/components/schemas/{schema}", "components": spec["components"]}
    instance = importlib.import_module("json").loads(text)
    jsonschema.Draft202012Validator(document).validate(instance)


def test_costs_without_deviations_match_the_specification(spec: Any, conforming: Simulator) -> None:
    known = set(spec["components"]["schemas"]["CostsResult"]["properties"])
    for groups in EVERY_GROUPING:
        response = get(conforming, window(FIRST, END, group_by=groups, limit=180))
        check(spec, "UsageResponse", response.text)
        for bucket in response.json()["data"]:
            assert set(bucket) == {"object", "start_time", "end_time", "results"}
            assert all(set(row) <= known | set(groups) for row in bucket["results"])


@pytest.mark.parametrize("endpoint", sorted(USAGE_ENDPOINTS))
def test_usage_without_deviations_matches_the_specification(spec: Any, full: Simulator, endpoint: str) -> None:
    result_type = rows(full, window(FIRST, END), USAGE + endpoint)[0]["object"]
    (schema,) = (
        found
        for found in spec["components"]["schemas"].values()
        if result_type in found.get("properties", {}).get("object", {}).get("enum", ())
    )
    groups = parameters(spec, endpoint)["group_by"]["items"]["enum"]
    for query in ([], *([group] for group in groups), groups):
        response = get(full, window(FIRST, END, group_by=query, limit=31), path=USAGE + endpoint)
        check(spec, "UsageResponse", response.text)
        for bucket in response.json()["data"]:
            assert set(bucket) == {"object", "start_time", "end_time", "results"}
            for row in bucket["results"]:
                assert set(row) == set(schema["properties"])
                assert all(type(row[name]) is int for name in schema["required"] if name != "object")


@pytest.mark.parametrize("endpoint", sorted(USAGE_ENDPOINTS))
def test_every_usage_parameter_of_the_specification_is_accepted(spec: Any, full: Simulator, endpoint: str) -> None:
    query = window(FIRST, END, limit=31, bucket_width="1d")
    for name, schema in parameters(spec, endpoint).items():
        if name not in {*query, "page"}:
            values = schema.get("items", {}).get("enum") or ["true"]
            assert get(full, {**query, name: values}, path=USAGE + endpoint).status_code == 200, name


def parameters(spec: Any, endpoint: str) -> dict[str, Any]:
    return {found["name"]: found["schema"] for found in spec["paths"][USAGE + endpoint]["get"]["parameters"]}


@pytest.mark.parametrize(
    ("path", "query", "schema"),
    [
        ("/organization/projects", {}, "ProjectListResponse"),
        ("/organization/projects", {"include_archived": "true"}, "ProjectListResponse"),
        ("/organization/projects/proj_simulated_support", {}, "Project"),
        ("/organization/projects/proj_simulated_catalogue/api_keys", {}, "ProjectApiKeyListResponse"),
        (
            "/organization/projects/proj_simulated_storefront/api_keys",
            {"owner_project_access": "any"},
            "ProjectApiKeyListResponse",
        ),
        ("/organization/users", {}, "UserListResponse"),
        ("/organization/users", {"emails": "nobody"}, "UserListResponse"),
        ("/organization/admin_api_keys", {"order": "asc"}, "ApiKeyList"),
    ],
)
def test_directories_match_the_specification(
    spec: Any, organization: SimulatedOrganization, path: str, query: Parameters, schema: str
) -> None:
    organization.archive_project("proj_simulated_support", NOW)
    organization.delete_user("user-simulated-omar")
    with Simulator([organization], Deviations.none(), clock=lambda: NOW) as simulator:
        response = get(simulator, query, path=path)
    assert response.status_code == 200
    check(spec, schema, response.text)
    assert set(response.json()) <= set(spec["components"]["schemas"][schema]["properties"])


def test_costs_with_deviations_break_the_specification(spec: Any, simulator: Simulator) -> None:
    jsonschema = importlib.import_module("jsonschema")
    with pytest.raises(jsonschema.ValidationError, match="is not valid under any of the given schemas"):
        check(spec, "UsageResponse", get(simulator, window(FIRST, END)).text)


@pytest.mark.parametrize(
    ("status", "method", "path", "key", "parameters"),
    [
        (400, "GET", "/organization/costs", None, {}),
        (400, "GET", "/organization/costs", None, window(FIRST, END, limit=0)),
        (400, "GET", "/organization/costs", None, window(date(2020, 1, 1), END)),
        (400, "GET", "/organization/costs", None, window(FIRST, FIRST)),
        (401, "GET", "/organization/costs", "sk-admin-wrong", window(FIRST, END)),
        (401, "GET", "/organization/costs", "", window(FIRST, END)),
        (404, "GET", "/organization/cost", None, window(FIRST, END)),
        (400, "GET", "/organization/usage/completions", None, window(FIRST, END, limit=32)),
        (400, "GET", "/organization/users", None, {"limit": 0}),
        (404, "GET", "/organization/usage/daydreams", None, window(FIRST, END)),
        (404, "GET", "/organization/projects/proj_simulated_none", None, {}),
        (405, "POST", "/organization/costs", None, window(FIRST, END)),
    ],
)
def test_errors_match_the_specification(
    spec: Any,
    conforming: Simulator,
    status: int,
    method: str,
    path: str,
    key: str | None,
    parameters: Parameters,
) -> None:
    response = get(conforming, parameters, key=key, path=path, method=method)
    assert response.status_code == status
    check(spec, "ErrorResponse", response.text)
