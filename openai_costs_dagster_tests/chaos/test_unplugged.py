"""Tests of failures of PostgreSQL or the API during a run. The next run stores the days that failed."""

from __future__ import annotations

from openai_costs_dagster.simulator import FaultKind, SimulatedOrganization
from openai_costs_dagster.simulator.faults import PAGE_FAULTS

from ..cli.program import Workplace, days_ago, expected_costs, until
from ..conftest import ScriptedSimulator
from .conftest import Gate

PASSING = sorted((set(FaultKind) - PAGE_FAULTS) | {FaultKind.CUT_JSON})
"""Faults that a retry overcomes: error responses, resets, truncated bodies, HTML, and a delay of one second."""


def test_postgres_stopped_during_a_request_is_recovered(place: Workplace, api: ScriptedSimulator) -> None:
    organization = SimulatedOrganization(organization_id="org-SIMULATEDUNPLUGGED")
    api.organizations.append(organization)
    first = days_ago(20)
    place.configure(api, {"unplugged": organization}, start_date=first)
    before = len(place.run_statuses())
    log = place.data / "logs" / "openai-costs.log"
    gate = Gate(api)
    with place.started("backfill") as unplugged:
        until(lambda: gate.reached)
        down = place.run("down")
        gate.open()
        until(lambda: "Retrying failed database connection" in log.read_text() or unplugged.poll() is not None)
        # This backfill restarts the server. Without it, Dagster would retry its connection for most of a minute.
        again = place.run("backfill")
        out, err = unplugged.communicate(timeout=240)
    assert (down.code, down.out) == (0, "PostgreSQL stopped\n")
    assert unplugged.returncode == 1, (out, err)
    assert "Traceback" not in out + err
    assert "unplugged: 21 days failed, 0 stored\n" in out
    assert "PostgreSQL" in out
    assert again.code == 0, again
    assert place.stored("unplugged") == expected_costs(organization, first)
    assert sorted(place.run_statuses()[before:]) == ["FAILURE", "SUCCESS"]


def test_backfill_completes_if_a_third_of_responses_fail(place: Workplace, api: ScriptedSimulator) -> None:
    organization = SimulatedOrganization(
        organization_id="org-SIMULATEDBROKEN",
        api_keys_from=None,
        users_with_projects_served=True,
        users_with_projects_from=days_ago(10),
    )
    api.organizations.append(organization)
    first = days_ago(19)
    place.configure(api, {"broken": organization}, start_date=first)
    api.faults.ratio(1 / 3, seed=4711, kinds=PASSING)
    finished = place.run("backfill")
    broken = [request for request in api.requests if request.fault]
    assert finished.code == 0, finished
    assert "broken: 20 days stored, " in finished.out
    assert place.stored("broken") == expected_costs(organization, first)
    assert place.run_statuses()[-1] == "SUCCESS"
    assert len(broken) >= len(api.requests) // 4 > 2
