"""OpenAI's own client reads the simulator as it reads the live API."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import openai
import pytest
from openai.types.admin.organization.usage_costs_response import DataResultOrganizationCostsResult

from openai_costs_dagster.simulator import Quirks, SimulatedOrganization, Simulator

from .wire import DIMENSIONS, WIDE, Key, days_between, money, seconds, truth

FIRST, END = date(2026, 1, 5), date(2026, 1, 26)

GROUPINGS: list[tuple[str, ...]] = [
    (),
    ("line_item",),
    ("project_id", "line_item"),
    ("project_id", "user_id", "line_item", "api_key_id"),
    ("api_source",),
]


def sdk_rows(simulator: Simulator, groups: Sequence[str]) -> Iterator[tuple[Key, Any, Decimal]]:
    """Every row: its day and groups, its amount as the SDK types it, and as it stands in the SDK's raw response."""
    key = simulator.organizations[0].admin_key
    page: str | openai.Omit = openai.omit
    with openai.OpenAI(admin_api_key=key, base_url=simulator.base_url, max_retries=0) as client:
        costs = client.admin.organization.usage.with_raw_response.costs
        while True:
            wanted: Any = list(groups) or openai.omit
            raw = costs(start_time=seconds(FIRST), end_time=seconds(END), group_by=wanted, limit=5, page=page)
            answer, text = raw.parse(), json.loads(raw.content, parse_float=Decimal)
            for bucket, raw_bucket in zip(answer.data, text["data"], strict=True):
                day = datetime.fromtimestamp(bucket.start_time, UTC).date().isoformat()
                for row, raw_row in zip(bucket.results, raw_bucket["results"], strict=True):
                    assert isinstance(row, DataResultOrganizationCostsResult)
                    group = (day, *(getattr(row, name) for name in DIMENSIONS if name in groups))
                    yield group, row.amount and row.amount.value, money(raw_row["amount"]["value"])
            if not answer.data or answer.next_page is None:
                return
            page = answer.next_page


@pytest.mark.parametrize("quirks", [Quirks(), Quirks.none()], ids=["quirks", "spec"])
@pytest.mark.parametrize("groups", GROUPINGS, ids="+".join)
def test_the_official_sdk_reads_the_truth_of_every_grouping(
    organization: SimulatedOrganization, simulator: Simulator, groups: tuple[str, ...], quirks: Quirks
) -> None:
    simulator.quirks = quirks
    sums: dict[Key, Decimal] = {}
    for key, typed, exact in sdk_rows(simulator, groups):
        # Its types say float, and a string becomes one too: the nearest to the truth. Only the raw text is exact.
        assert isinstance(typed, float)
        assert typed == float(exact)
        sums[key] = WIDE.add(sums.get(key, Decimal(0)), exact)
    assert sums == truth(organization, days_between(FIRST, END), groups)


def test_the_official_sdk_raises_its_own_errors(simulator: Simulator) -> None:
    with (
        openai.OpenAI(admin_api_key="sk-admin-wrong", base_url=simulator.base_url, max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="Incorrect API key provided") as raised,
    ):
        client.admin.organization.usage.costs(start_time=seconds(FIRST))
    assert raised.value.code == "invalid_api_key"
