"""Tests of the simulator with the official `openai` package as client."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import openai
import pytest
from openai.types.admin.organization.usage_costs_response import DataResultOrganizationCostsResult

from openai_costs_dagster.simulator import Deviations, SimulatedOrganization, Simulator
from openai_costs_dagster.simulator.usage_endpoints import ENDPOINTS

from .full_organization import ALL_ENDPOINTS, full_organization
from .http_requests import (
    DIMENSIONS,
    NOW,
    USAGE,
    WIDE,
    Key,
    buckets,
    days_between,
    expected_sums,
    get,
    money,
    parsed,
    seconds,
    window,
)

FIRST, END = date(2026, 1, 5), date(2026, 1, 26)

GROUPINGS: list[tuple[str, ...]] = [
    (),
    ("line_item",),
    ("project_id", "line_item"),
    ("project_id", "user_id", "line_item", "api_key_id"),
    ("api_source",),
]


def sdk_rows(simulator: Simulator, groups: Sequence[str]) -> Iterator[tuple[Key, Any, Decimal]]:
    """Yield the key, the parsed amount and the exact amount of each row. The exact amount is from the raw response."""
    key = simulator.organizations[0].admin_key
    page: str | openai.Omit = openai.omit
    with openai.OpenAI(admin_api_key=key, base_url=simulator.base_url, max_retries=0) as client:
        costs = client.admin.organization.usage.with_raw_response.costs
        while True:
            group_by: Any = list(groups) or openai.omit
            raw = costs(start_time=seconds(FIRST), end_time=seconds(END), group_by=group_by, limit=5, page=page)
            response, text = raw.parse(), json.loads(raw.content, parse_float=Decimal)
            for bucket, raw_bucket in zip(response.data, text["data"], strict=True):
                day = datetime.fromtimestamp(bucket.start_time, UTC).date().isoformat()
                for row, raw_row in zip(bucket.results, raw_bucket["results"], strict=True):
                    assert isinstance(row, DataResultOrganizationCostsResult)
                    group = (day, *(getattr(row, name) for name in DIMENSIONS if name in groups))
                    yield group, row.amount and row.amount.value, money(raw_row["amount"]["value"])
            if not response.data or response.next_page is None:
                return
            page = response.next_page


@pytest.mark.parametrize("deviations", [Deviations(), Deviations.none()], ids=["deviations", "spec"])
@pytest.mark.parametrize("groups", GROUPINGS, ids="+".join)
def test_official_sdk_reads_the_expected_sums_of_every_grouping(
    organization: SimulatedOrganization, simulator: Simulator, groups: tuple[str, ...], deviations: Deviations
) -> None:
    simulator.deviations = deviations
    sums: dict[Key, Decimal] = {}
    for key, amount, exact in sdk_rows(simulator, groups):
        # The SDK converts amounts to floats, so the exact amounts come from the raw text.
        assert isinstance(amount, float)
        assert amount == float(exact)
        sums[key] = WIDE.add(sums.get(key, Decimal(0)), exact)
    assert sums == expected_sums(organization, days_between(FIRST, END), groups)


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with Simulator([full_organization()], clock=lambda: NOW) as running:
        yield running


@pytest.mark.parametrize("endpoint", ALL_ENDPOINTS)
@pytest.mark.parametrize("grouped", [False, True])
def test_official_sdk_reads_every_usage_endpoint(shared: Simulator, endpoint: str, *, grouped: bool) -> None:
    groups: Any = list(ENDPOINTS[endpoint].dimensions) if grouped else openai.omit
    page: str | openai.Omit = openai.omit
    found: list[Any] = []
    with client(shared) as sdk:
        list_usage = getattr(sdk.admin.organization.usage, endpoint)
        while True:
            response = list_usage(
                start_time=seconds(FIRST), end_time=seconds(END), group_by=groups, limit=10, page=page
            )
            found += response.data
            if not response.has_more:
                break
            page = response.next_page
    query = window(FIRST, END, limit=31, **({"group_by": groups} if grouped else {}))
    raw = buckets(shared, query, USAGE + endpoint)
    assert [bucket.start_time for bucket in found] == [seconds(day) for day in days_between(FIRST, END)]
    for bucket, raw_bucket in zip(found, raw, strict=True):
        for row, raw_row in zip(bucket.results, raw_bucket["results"], strict=True):
            assert type(row).__name__.startswith("DataResult")
            assert {name: getattr(row, name) for name in raw_row} == raw_row
            # The rows have exactly the fields of the SDK's types.
            assert set(raw_row) == set(type(row).model_fields)
    assert sum(len(bucket.results) for bucket in found) > 0


def test_official_sdk_pages_through_projects_users_and_keys(shared: Simulator) -> None:
    organization = shared.organizations[0]
    with client(shared) as sdk:
        directory = sdk.admin.organization
        projects = list(directory.projects.list(include_archived=True, limit=2))
        users = list(directory.users.list(limit=1))
        admin_keys = list(directory.admin_api_keys.list())
        keys = {
            key.id: (key.owner.type, key.owner_project_access)
            for project in projects
            for key in directory.projects.api_keys.list(project.id, limit=1, owner_project_access="any")
        }
        assert directory.projects.retrieve(projects[0].id) == projects[0]
    assert [(project.id, project.name, project.status) for project in projects] == [
        (project.id, project.name, "active") for project in organization.projects
    ]
    assert [(user.id, user.email) for user in users] == [(user.id, user.email) for user in organization.users]
    assert keys == {key.id: ("user" if key.user else "service_account", "active") for key in organization.api_keys}
    assert [key.model_dump(exclude_unset=True) for key in admin_keys] == parsed(
        get(shared, {}, path="/organization/admin_api_keys")
    )["data"]


def client(simulator: Simulator) -> openai.OpenAI:
    key = simulator.organizations[0].admin_key
    return openai.OpenAI(admin_api_key=key, base_url=simulator.base_url, max_retries=0)


def test_official_sdk_raises_its_own_errors(simulator: Simulator) -> None:
    with (
        openai.OpenAI(admin_api_key="sk-admin-wrong", base_url=simulator.base_url, max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="Incorrect API key provided") as raised,
    ):
        client.admin.organization.usage.costs(start_time=seconds(FIRST))
    assert raised.value.code == "invalid_api_key"
