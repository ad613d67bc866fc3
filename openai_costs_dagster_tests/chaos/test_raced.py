"""Tests of two concurrent backfills of the same days. They run one after the other and store each day once."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.simulator import SimulatedOrganization

from ..cli.program import Workplace, days_ago, expected_costs, until
from ..conftest import ScriptedSimulator
from .conftest import Gate


def first_day() -> dt.date:
    return days_ago(20)


def test_concurrent_first_backfills_store_every_day_once(fresh_place: Workplace, api: ScriptedSimulator) -> None:
    place, organization = fresh_place, SimulatedOrganization()
    api.organizations.append(organization)
    place.configure(api, {"acme": organization}, start_date=first_day())
    gate = Gate(api)
    with place.started("backfill") as first, place.started("backfill") as second:
        until(lambda: (gate.reached and "; waiting for it" in _log(place)) or first.poll() or second.poll())
        gate.open()
        outputs = [first.communicate(timeout=240), second.communicate(timeout=240)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert "Traceback" not in str(outputs)
    assert place.stored("acme") == expected_costs(organization, first_day())
    assert len(place.stored_days("acme")) == 21
    assert place.run_statuses() == ["SUCCESS", "SUCCESS"]
    assert place.sql("select count(*) from openai_costs.cost_revisions") == [(0,)]
    assert "another process synchronizes acme: openai-costs acme " in _log(place)


def _log(place: Workplace) -> str:
    file = place.data / "logs" / "openai-costs.log"
    return file.read_text() if file.exists() else ""
