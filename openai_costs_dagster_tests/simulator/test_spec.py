"""Without its quirks the simulator keeps to the published spec; with them it does not, as the live API does not."""

import importlib
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from openai_costs_dagster.simulator import Quirks, SimulatedOrganization, Simulator

from .wire import EVERY_GROUPING, NOW, TODAY, Parameters, get, window

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
    with Simulator([organization], Quirks.none(), clock=lambda: NOW) as running:
        yield running


def check(spec: Any, schema: str, text: str) -> None:
    jsonschema = importlib.import_module("jsonschema")
    document = {"$ref": f"#/components/schemas/{schema}", "components": spec["components"]}
    instance = importlib.import_module("json").loads(text)
    jsonschema.Draft202012Validator(document).validate(instance)


def test_without_quirks_every_costs_answer_is_as_the_spec_says(spec: Any, conforming: Simulator) -> None:
    known = set(spec["components"]["schemas"]["CostsResult"]["properties"])
    for groups in EVERY_GROUPING:
        response = get(conforming, window(FIRST, END, group_by=groups, limit=180))
        check(spec, "UsageResponse", response.text)
        for bucket in response.json()["data"]:
            assert set(bucket) == {"object", "start_time", "end_time", "results"}
            assert all(set(row) <= known | set(groups) for row in bucket["results"])


def test_with_its_quirks_an_answer_breaks_the_spec(spec: Any, simulator: Simulator) -> None:
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
        (405, "POST", "/organization/costs", None, window(FIRST, END)),
    ],
)
def test_every_error_is_as_the_spec_says(
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
