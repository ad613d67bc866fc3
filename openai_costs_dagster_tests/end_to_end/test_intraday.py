"""Tests of the intraday refresh of `openai-costs up`, which alerts on unusual spend of the current day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from openai_costs_dagster.cli.webserver_address import free_port
from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

from ..alerts.receiver import Receiver, receiving
from ..cli.program import Workplace, days_ago, until, workplace
from ..midnight import today
from .dagster_intervals import refresh_at_another_time, run_daemons_every_second, run_intraday_every_minute
from .ui import Dagster

ORGANIZATIONS = ("north", "south")
SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"


@dataclass(frozen=True)
class RunningUp:
    """A running `up` with two organizations whose history is stored, and the receiver of their alerts."""

    place: Workplace
    organizations: dict[str, SimulatedOrganization]
    hook: Receiver
    dagster: Dagster

    def alerts(self) -> set[tuple[str, ...]]:
        """Return the kind, event, organization and day of all received alerts."""
        return {
            (alert["kind"], alert["event"], alert["organization"], alert["usage_date"])
            for message in self.hook.received
            for alert in message.document["alerts"]
        }

    def refreshes(self, organization: str) -> list[dict[str, Any]]:
        """Return all runs of the refresh sensor for an organization, newest first, including running ones."""
        runs = self.dagster.runs({"dagster/sensor_name": "openai_costs_refresh"})
        key = ["openai", organization, "costs"]
        return [run for run in runs if key in [asset["path"] for asset in run["assetSelection"]]]


def noon() -> dt.datetime:
    """Return noon UTC of the current day, so that the simulator always serves half of the day's spend."""
    return dt.datetime.combine(dt.datetime.now(dt.UTC).date(), dt.time(12), dt.UTC)


@pytest.fixture(scope="module")
def running_up() -> Iterator[RunningUp]:
    organizations = {
        name: SimulatedOrganization(
            name=name, organization_id=f"org-SIMULATED{name.upper()}", admin_key=f"sk-admin-{name}", seed=seed
        )
        for seed, name in enumerate(ORGANIZATIONS)
    }
    with Simulator(list(organizations.values()), clock=noon) as simulator, receiving() as hook, workplace() as place:
        place.environment.update(HOOK_URL=hook.url, HOOK_SECRET=SECRET)
        place.configure(
            simulator,
            organizations,
            start_date=days_ago(30),
            refresh={**refresh_at_another_time(), "intraday_minutes": 5},
            alerts=[{"webhook": {"env": "HOOK_URL"}, "secret": {"env": "HOOK_SECRET"}}],
        )
        assert place.run("backfill").code == 0
        organizations["north"].plant_anomaly(today(), 20)
        run_daemons_every_second(place)
        run_intraday_every_minute(place)
        port = free_port()
        with (
            (place.folder / "up.log").open("w") as output,
            place.started("up", "--port", str(port), output=output),
            closing(Dagster(f"http://127.0.0.1:{port}")) as dagster,
        ):
            yield RunningUp(place, organizations, hook, dagster)


def test_overspend_of_today_is_alerted_by_the_intraday_refresh(running_up: RunningUp) -> None:
    day = str(today())
    until(lambda: ("anomaly", "opened", "north", day) in running_up.alerts())


@pytest.mark.parametrize("name", ORGANIZATIONS)
def test_each_organization_is_refreshed_by_runs_of_its_own(running_up: RunningUp, name: str) -> None:
    for run in until(lambda: running_up.refreshes(name)):
        assert {asset["path"][1] for asset in run["assetSelection"]} == {name}


def test_next_refresh_does_not_alert_again(running_up: RunningUp) -> None:
    known = {run["runId"] for run in running_up.refreshes("north")}
    until(
        lambda: [
            run for run in running_up.refreshes("north") if run["runId"] not in known and run["status"] == "SUCCESS"
        ]
    )
    events = running_up.place.sql(
        "select distinct event from openai_costs.outbox where organization = 'north' and not acknowledged"
    )
    assert events == [("opened",)]
    sent = [alert["id"] for message in running_up.hook.received for alert in message.document["alerts"]]
    assert len(sent) == len(set(sent))
