"""Tests of the generated facts and of changes to them."""

import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from openai_costs_dagster.simulator import Fact, SimulatedOrganization, Simulator, demo_organizations

from .http_requests import TODAY, days_between, get, rows, seconds, spent, total, window

CHECKOUT = Path(__file__).resolve().parents[2]
MONDAY = date(2026, 2, 2)
YEAR = days_between(TODAY - timedelta(days=365), TODAY + timedelta(days=1))

FINGERPRINT = """
import hashlib
from datetime import date, timedelta
from openai_costs_dagster.simulator import demo_organizations

today = date(2026, 3, 11)
days = [today - timedelta(days=age) for age in range(0, 365, 13)]
past = [organization.facts(day) for organization in demo_organizations(today) for day in days]
print(hashlib.sha256(repr(past).encode()).hexdigest())
"""


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), **more}


def test_facts_are_the_same_in_every_process() -> None:
    prints = {
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", FINGERPRINT],
            env=environment(PYTHONHASHSEED=seed),
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(prints) == 1


def test_facts_do_not_depend_on_the_order_of_calls() -> None:
    forwards, backwards = SimulatedOrganization(seed=5), SimulatedOrganization(seed=5)
    days = YEAR[:30]
    expected = [forwards.facts(day) for day in days]
    assert [backwards.facts(day) for day in reversed(days)] == expected[::-1]
    assert SimulatedOrganization(seed=6).facts(days[0]) != expected[0]


@pytest.mark.parametrize(("index", "least", "most"), [(0, 36, 46), (1, 10, 18), (2, 5, 9)])
def test_demo_has_companies_of_different_sizes(index: int, least: int, most: int) -> None:
    organization = demo_organizations(TODAY)[index]
    for day in YEAR[-30:]:
        found = {(fact.project_id, fact.line_item, fact.api_key_id) for fact in organization.facts(day)}
        assert least <= len(found) <= most


def test_startup_of_the_demo_begins_fifty_days_ago() -> None:
    startup = demo_organizations(TODAY)[2]
    assert not startup.facts(TODAY - timedelta(days=51))
    assert startup.facts(TODAY - timedelta(days=50))


def test_all_names_of_the_demo_are_marked_as_simulated() -> None:
    for organization in demo_organizations(TODAY):
        assert not re.search(r"sk-admin-[A-Za-z0-9_-]{20,}", organization.admin_key)
        assert "SIMULATED" in organization.organization_id
        assert "simulated" in organization.name
        assert all("simulated" in project.id for project in organization.projects)
        assert all("simulated" in key.id for key in organization.api_keys)
        assert all(user.email.endswith("-simulated.example") for user in organization.users)
        assert organization.admin_key not in repr(organization)


def test_lab_has_all_kinds_of_line_items_of_the_live_api() -> None:
    lab = demo_organizations(TODAY)[0]
    facts = [fact for day in YEAR for fact in lab.facts(day)]
    labels = {fact.line_item for fact in facts}
    assert {None, "", "Promotional credit", "Vector storage", "web search tool calls"} <= labels
    assert any(fact.amount is not None and fact.amount < 0 for fact in facts)
    assert any(fact.amount == 0 and "cached input" in (fact.line_item or "") for fact in facts)
    assert any((fact.line_item or "").startswith("priority | ") for fact in facts)
    assert {fact.api_source for fact in facts} == {"unlabeled", "agents_api"}
    assert max(len(fact.amount.as_tuple().digits) for fact in facts if fact.amount is not None) > 28


def test_weekends_cost_less_and_have_no_batches() -> None:
    lab = demo_organizations(TODAY)[0]
    week = days_between(MONDAY, MONDAY + timedelta(days=7))
    spend = [spent(lab.facts(day)) for day in week]
    assert min(spend[:5]) > 2 * max(spend[5:])
    nights = [any(fact.project_id == "proj_simulated_nightly" for fact in lab.facts(day)) for day in week]
    assert nights == [True] * 5 + [False] * 2


def test_amount_is_exactly_price_times_quantity() -> None:
    fact = next(fact for fact in demo_organizations(TODAY)[0].facts(MONDAY) if fact.line_item)
    assert fact.line_item == "gpt-5.5-2026-04-23, input"
    assert fact.quantity is not None
    assert fact.amount == fact.quantity * Decimal("0.000005")


def test_planted_anomaly_changes_only_its_project(
    organization: SimulatedOrganization,
) -> None:
    project = organization.projects[1].id
    before = organization.facts(MONDAY)
    organization.plant_anomaly(MONDAY, 4, project_id=project)
    for old, new in zip(before, organization.facts(MONDAY), strict=True):
        factor = 4 if old.project_id == project else 1
        assert new.amount == (old.amount or 0) * factor
        assert new.quantity == (None if old.quantity is None else old.quantity * factor)
    with pytest.raises(ValueError, match="no fact of"):
        organization.plant_anomaly(MONDAY, 4, model="gpt-none")


def test_changes_accumulate_and_are_served_at_once(organization: SimulatedOrganization, simulator: Simulator) -> None:
    query = window(MONDAY, MONDAY + timedelta(days=1))

    def read() -> Decimal:
        return total(Decimal(row["amount"]["value"]) for row in rows(simulator, query))

    def only_first(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        return (replace(facts[0], amount=Decimal("1.5")),)

    assert read() == spent(organization.facts(MONDAY)) != 0
    organization.restate(MONDAY, only_first)
    assert read() == Decimal("1.5")
    organization.plant_anomaly(MONDAY, 3)
    assert read() == Decimal("4.5")
    organization.clear_day(MONDAY)
    assert read() == 0


def test_past_day_is_rendered_once(organization: SimulatedOrganization, simulator: Simulator) -> None:
    query = window(MONDAY, MONDAY + timedelta(days=1))
    first = get(simulator, query).text
    organization.facts = None  # type: ignore[assignment,method-assign]
    assert get(simulator, query).text == first


def test_program_serves_the_demo_until_interrupted() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "openai_costs_dagster.simulator"],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1\n", lines[0])
    assert [line.split()[0] for line in lines[1:]] == [found.admin_key for found in demo_organizations(TODAY)]


def test_port_is_open_only_inside_the_context(organization: SimulatedOrganization) -> None:
    simulator = Simulator([organization])
    with pytest.raises(RuntimeError, match="not running"):
        _ = simulator.base_url
    with simulator:
        address = urlsplit(simulator.base_url)
        assert get(simulator, {"start_time": seconds(MONDAY)}).status_code == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname or "", address.port or 0), timeout=10)
