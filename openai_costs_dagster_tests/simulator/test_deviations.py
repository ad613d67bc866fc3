"""Tests of the deviations from the specification: each appears only if it is on."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from openai_costs_dagster.simulator import Deviations, Fact, SimulatedOrganization, Simulator

from .http_requests import COSTS, USAGE, get, parsed, window

DAY = date(2026, 2, 3)
NAMES = [field.name for field in fields(Deviations)]


def facts_for_all_deviations(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """Return facts in which every deviation can appear."""
    sample = replace(facts[0], api_source="unlabeled", quantity=Decimal(51584), quantity_unit="tokens")
    many = [replace(sample, line_item=f"model-{number}, input", amount=Decimal("2.19395")) for number in range(40)]
    return (
        *many,
        replace(sample, line_item="idle", amount=Decimal(0)),
        replace(sample, line_item="absent", amount=None),
        replace(sample, line_item="both", amount=Decimal("0.025792")),
        replace(sample, line_item="both", amount=Decimal("0.1"), api_source="agents_api"),
        replace(sample, line_item="both", amount=Decimal("0.2"), project_id="proj_simulated_other"),
    )


def row_values(response: httpx2.Response) -> list[Any]:
    return [row["amount"]["value"] for row in results(response) if row.get("amount")]


def results(response: httpx2.Response) -> list[Any]:
    return list(parsed(response)["data"][0]["results"])


def named(response: httpx2.Response, line_item: str) -> list[Any]:
    return [row for row in results(response) if row["line_item"] == line_item]


APPEARS: dict[str, Callable[[httpx2.Response], bool]] = {
    "string_amounts": lambda response: any(
        isinstance(value, str) and len(value.replace("0.", "").replace(".", "")) >= 34 for value in row_values(response)
    ),
    "mixed_amounts": lambda response: len({isinstance(value, str) for value in row_values(response)}) == 2,
    "zero_exponent": lambda response: "0E-6176" in response.text,
    "null_amounts": lambda response: '"amount": null' in response.text,
    "float_quantities": lambda response: '"quantity": 51584.0,' in response.text,
    "duplicate_rows": lambda response: (
        len(named(response, "both")) > len({row["project_id"] for row in named(response, "both")})
    ),
    "line_item_splits_projects": lambda response: "proj_simulated_other" in response.text,
    "undocumented_fields": lambda response: "start_time_iso" in response.text and "organization_id" in response.text,
    "tail_pages": lambda response: bool(parsed(response)["next_page"]),
    "null_counters": lambda response: '"input_audio_tokens": null' in response.text,
}


@pytest.mark.parametrize("name", NAMES)
def test_deviation_appears_only_if_it_is_on(
    organization: SimulatedOrganization, simulator: Simulator, name: str
) -> None:
    organization.restate(DAY, facts_for_all_deviations)
    of_usage = name == "null_counters"
    groups, path = (["model"], USAGE + "completions") if of_usage else (["line_item"], COSTS)

    def appears(deviations: Deviations) -> bool:
        simulator.deviations = deviations
        return APPEARS[name](get(simulator, window(DAY, DAY + timedelta(days=1), group_by=groups), path=path))

    needed = {"string_amounts": True} if name == "mixed_amounts" else {}
    assert appears(Deviations())
    assert appears(replace(Deviations.none(), **{name: True}, **needed))
    assert not appears(replace(Deviations(), **{name: False}))
    assert not appears(Deviations.none())


def test_string_amount_has_34_significant_digits(organization: SimulatedOrganization, simulator: Simulator) -> None:
    simulator.deviations = Deviations(mixed_amounts=False)
    organization.restate(DAY, facts_for_all_deviations)
    values = row_values(get(simulator, window(DAY, DAY + timedelta(days=1), group_by=["line_item"])))
    assert "2.193950000000000000000000000000000" in values
    assert "0.02579200000000000000000000000000000" in values


@pytest.mark.parametrize("amount", ["123456.7890123456789012345678901234", "-0.000000000000000000000000001"])
@pytest.mark.parametrize("mixed", [True, False])
def test_string_and_number_amounts_are_exact(
    organization: SimulatedOrganization, simulator: Simulator, amount: str, *, mixed: bool
) -> None:
    simulator.deviations = Deviations(string_amounts=not mixed, mixed_amounts=mixed)
    organization.restate(DAY, lambda facts: (replace(facts[0], amount=Decimal(amount)),))
    (value,) = row_values(get(simulator, window(DAY, DAY + timedelta(days=1))))
    assert isinstance(value, Decimal) is mixed
    assert Decimal(value) == Decimal(amount)


def test_pages_after_the_last_day_have_new_cursors_without_end(simulator: Simulator) -> None:
    query = window(DAY, DAY + timedelta(days=2))
    cursors = [parsed(get(simulator, query))["next_page"]]
    for _ in range(3):
        page = parsed(get(simulator, {**query, "page": cursors[-1]}))
        assert (page["data"], page["has_more"]) == ([], True)
        cursors.append(page["next_page"])
    assert len(set(cursors)) == 4


def test_names_appear_only_with_their_dimension(organization: SimulatedOrganization, simulator: Simulator) -> None:
    query = window(DAY, DAY + timedelta(days=1), group_by=["user_id"])
    for row in results(get(simulator, query)):
        assert (row["user_email"] is None) == (row["user_id"] is None)
        assert row["project_name"] is None
        assert row["organization_id"] == organization.organization_id
