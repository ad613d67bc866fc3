"""Tests of `openai-costs up` from its start to Ctrl-C. They share one process and run in the order of the file."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import signal
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx2
import psutil
import psycopg
import pytest
from psycopg import sql

from openai_costs_dagster.alerts import delivery
from openai_costs_dagster.cli.webserver_address import free_port
from openai_costs_dagster.orchestration.runtime.process_id import PROCESS_TAG
from openai_costs_dagster.simulator import SimulatedOrganization, Simulator
from openai_costs_dagster.warehouse import outbox
from openai_costs_dagster.warehouse.database import Database

from ..browser.chromium import INSTALL_HINT, chromium, executable
from ..cli.program import Workplace, days_ago, expected_costs, is_alive, until, workplace
from ..midnight import today
from ..simulator.http_requests import total
from .dagster_intervals import refresh_at_another_time, run_daemons_every_second
from .foreign_page import attack
from .ui import Dagster


def first_day() -> dt.date:
    return days_ago(19)


def history() -> list[str]:
    return [str(days_ago(days)) for days in range(19, -1, -1)]


SECRET = "4f1c9e7a"  # Every admin key of these tests contains this text.


@dataclass(frozen=True)
class Up:
    """A running `openai-costs up` with its working directory and its simulated organizations."""

    place: Workplace
    simulator: Simulator
    dagster: Dagster
    process: Popen[str]
    port: int

    def organization(self, name: str) -> SimulatedOrganization:
        return next(simulated for simulated in self.simulator.organizations if simulated.name == name)


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    """Start `openai-costs up` with two new organizations and one whose key is rejected."""
    organizations = {
        name: SimulatedOrganization(
            name=name, organization_id=f"org-SIMULATED{name.upper()}", admin_key=f"sk-admin-{name}-{SECRET}", seed=seed
        )
        for seed, name in enumerate(("north", "south", "locked"))
    }
    organizations["locked"].revoke_key()
    with Simulator(list(organizations.values())) as simulator, workplace() as place:
        place.configure(simulator, organizations, start_date=first_day(), refresh=refresh_at_another_time())
        run_daemons_every_second(place)
        port = free_port()
        with (
            (place.folder / "up.log").open("w") as output,
            place.started("up", "--port", str(port), output=output) as process,
            closing(Dagster(f"http://127.0.0.1:{port}")) as dagster,
        ):
            until(lambda: dagster.is_reachable() or process.poll() is not None)
            assert process.poll() is None, (place.folder / "up.log").read_text()
            yield Up(place, simulator, dagster, process, port)


def test_ui_responds_on_loopback_only(up: Up) -> None:
    page = up.dagster.get("/asset-groups")
    assert page.status_code == 200
    assert "<html" in page.text
    listening = [
        connection.laddr.ip
        for process in up.place.processes()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}
    message = f"Dagster is up: http://127.0.0.1:{up.port} (Ctrl-C ends it)"
    until(lambda: message in (up.place.folder / "up.log").read_text())


def test_second_up_is_refused(up: Up) -> None:
    second = up.place.run("up")
    assert (second.code, second.out) == (2, "")
    assert second.err.startswith("openai-costs: openai-costs up is already running (see ")


def test_new_organizations_are_synced_from_their_start_in_one_run_each(up: Up) -> None:
    runs = until(lambda: _first_runs(up))
    assert sorted(map(_organization, runs)) == ["locked", "north", "south"]
    for run in runs:
        assert {key["path"][-1] for key in run["assetSelection"]} == {"costs", "usage", "allocated_costs"}
        assert run["tags"]["dagster/asset_partition_range_end"] == str(today())
        [(process,)] = up.place.sql(
            "select value from openai_costs_dagster.run_tags where run_id = %s and key = %s", run["runId"], PROCESS_TAG
        )
        assert process.startswith(run["runId"])  # The run launcher records this tag, which Dagster's UI hides.
        assert PROCESS_TAG not in run["tags"]
        assert run["status"] == ("FAILURE" if _organization(run) == "locked" else "SUCCESS")
    for name in ("north", "south"):
        assert up.place.stored(name) == expected_costs(up.organization(name), first_day())
        assert len(up.place.stored_days(name)) == 20
        assert up.dagster.partitions(name, "MATERIALIZED") == [(str(first_day()), str(today()))]
    assert up.dagster.partitions("locked", "FAILED") == [(str(first_day()), str(today()))]


def _first_runs(up: Up) -> list[dict[str, Any]] | None:
    """Return the automated runs over the full history, or None while one of them is missing or has not ended."""
    runs = up.dagster.runs(
        {"dagster/from_automation_condition": "true", "dagster/asset_partition_range_start": str(first_day())}
    )
    return runs if len(runs) >= 3 and {run["status"] for run in runs} <= {"SUCCESS", "FAILURE"} else None


def _organization(run: dict[str, Any]) -> str:
    """Return the organization of a run. Fails if the run has several organizations."""
    (organization,) = {key["path"][1] for key in run["assetSelection"]}
    return str(organization)


@dataclass(frozen=True)
class Backfills:
    """The ids and days of a successful backfill and of a backfill whose first day failed."""

    good: str
    good_days: list[str]
    bad: str
    bad_days: list[str]


@pytest.fixture(scope="module")
def backfills(up: Up) -> Backfills:
    """Launch both backfills as the UI does, after the first sync has ended, and wait for their end."""
    until(lambda: _first_runs(up))
    good_days, bad_days = history()[-6:-1], history()[4:7]
    south = up.organization("south")
    south.lookback_days = (today() - dt.date.fromisoformat(bad_days[1])).days
    good = up.dagster.launch_backfill(["north", "south"], good_days)
    bad = up.dagster.launch_backfill(["south"], bad_days)
    until(lambda: up.dagster.ended(good) and up.dagster.ended(bad))
    south.lookback_days = 365
    return Backfills(good, good_days, bad, bad_days)


def test_backfill_of_a_range_is_one_run_for_each_organization(up: Up, backfills: Backfills) -> None:
    assert up.dagster.ended(backfills.good) == "COMPLETED_SUCCESS"
    runs = up.dagster.runs({"dagster/backfill": backfills.good})
    assert sorted(map(_organization, runs)) == ["north", "south"]
    assert {run["status"] for run in runs} == {"SUCCESS"}
    for run in runs:
        assert run["tags"]["dagster/asset_partition_range_start"] == backfills.good_days[0]
        assert run["tags"]["dagster/asset_partition_range_end"] == backfills.good_days[-1]


@pytest.mark.parametrize("organization", ["north", "south"])
def test_each_day_of_a_backfill_is_materialized_and_checked(up: Up, backfills: Backfills, organization: str) -> None:
    (run,) = [
        run for run in up.dagster.runs({"dagster/backfill": backfills.good}) if _organization(run) == organization
    ]
    materializations = up.dagster.materializations(organization, backfills.good_days)
    assert [(found["partition"], found["runId"]) for found in materializations] == [
        (day, run["runId"]) for day in backfills.good_days
    ]
    expected = expected_costs(up.organization(organization), dt.date.fromisoformat(backfills.good_days[0]))
    for found in materializations:
        spent = total(amount for (day, *_), amount in expected.items() if day == found["partition"])
        assert Decimal(found["metadata"]["spend_exact"].removesuffix(" USD")) == spent
    for check, day in itertools.product(("complete", "reconciles", "anomalous_spend"), backfills.good_days):
        execution = up.dagster.check(organization, check, day)
        assert (execution["status"], execution["runId"]) == ("SUCCEEDED", run["runId"]), (check, day)
        assert execution["evaluation"]["partition"] == day
        assert execution["evaluation"]["targetMaterialization"]["runId"] == run["runId"]


def test_only_the_failed_day_is_shown_as_failed(up: Up, backfills: Backfills) -> None:
    failed, *good = backfills.bad_days
    assert up.dagster.ended(backfills.bad) == "COMPLETED_FAILED"
    assert up.dagster.partitions("south", "FAILED") == [(failed, failed)]
    check = up.dagster.check("south", "complete", failed)
    assert (check["status"], check["evaluation"]["success"]) == ("FAILED", False)
    assert "Usage and cost data are available for the past year" in check["evaluation"]["description"]
    (run,) = up.dagster.runs({"dagster/backfill": backfills.bad})
    assert {found["runId"] for found in up.dagster.materializations("south", good)} == {run["runId"]}
    # The costs of the failed day that the first sync stored are unchanged.
    assert up.place.stored("south") == expected_costs(up.organization("south"), first_day())


def test_reexecution_from_failure_requests_the_failed_day_only(up: Up, backfills: Backfills) -> None:
    failed = dt.date.fromisoformat(backfills.bad_days[0])
    up.simulator.requests.clear()
    again = up.dagster.reexecute_from_failure(backfills.bad)
    assert until(lambda: up.dagster.ended(again)) == "COMPLETED_SUCCESS"
    requested = {(request.query["start_time"][0], request.query["end_time"][0]) for request in up.simulator.requests}
    midnight = int(dt.datetime.combine(failed, dt.time(), dt.UTC).timestamp())
    assert requested == {(str(midnight), str(midnight + 86_400))}
    assert {request.organization_id for request in up.simulator.requests} == {"org-SIMULATEDSOUTH"}
    assert up.dagster.partitions("south", "FAILED") == []
    assert up.dagster.check("south", "complete", str(failed))["status"] == "SUCCEEDED"


def test_ui_shows_organizations_columns_and_checks(up: Up, backfills: Backfills) -> None:
    if executable() is None:
        pytest.skip(INSTALL_HINT)
    costs = f"{up.dagster.url}/assets/openai/north/costs"
    expected = {
        f"{up.dagster.url}/asset-groups": ["north", "south", "openai_reports"],
        costs: ["The costs that OpenAI bills to north for each UTC day", "The UTC day that was billed (charge period)"],
        f"{costs}?view=checks": ["anomalous_spend", "complete", "reconciles"],
        f"{costs}?view=partitions&partition={history()[0]}": ["spend_usd", "spend_exact"],
    }
    with chromium() as browser:
        page = browser.new_page()
        page_errors: list[str] = []
        page.on("pageerror", lambda error: page_errors.append(str(error)))
        for address, texts in expected.items():
            page.goto(address)
            for text in texts:
                page.get_by_text(text).first.wait_for()
        (run,) = up.dagster.runs({"dagster/backfill": backfills.bad})
        frames: list[str] = []
        page.on("websocket", lambda live: live.on("framereceived", lambda frame: frames.append(str(frame))))
        page.goto(f"{up.dagster.url}/runs/{run['runId']}")
        page.get_by_text("RUN_FAILURE").first.wait_for()
        assert [
            frame for frame in frames if "pipelineRunLogs" in frame
        ]  # The request guard accepts the live updates of the UI.
        assert page_errors == []


def test_foreign_web_page_cannot_change_dagster(up: Up) -> None:
    if executable() is None:
        pytest.skip(INSTALL_HINT)
    paused, change = "instance { autoMaterializePaused }", "mutation { setAutoMaterializePaused(paused: %s) }"
    before = up.dagster.query(f"{{ {paused} }}")
    other = "false" if before["instance"]["autoMaterializePaused"] else "true"
    outcome = attack(up.dagster.url, up.port, change % other)
    assert {kind for kind, _ in outcome.statuses} == {"document", "fetch", "image", "script"}
    assert {status for _, status in outcome.statuses} <= {403, 405, 415}
    assert (outcome.websocket, outcome.rebound_status) == ("refused", 403)
    assert up.dagster.query(f"{{ {paused} }}") == before
    # The same request from a program, which sends no Origin, is executed.
    assert up.dagster.query(change % other) == {"setAutoMaterializePaused": other == "true"}
    assert up.dagster.query(f"{{ {paused} }}") != before
    # Headers that only programs can forge.
    for headers, status in (({"Host": f"evil.example:{up.port}"}, 403), ({"Origin": "http://evil.example"}, 403)):
        assert up.dagster.get("/server_info", headers).status_code == status
    assert up.dagster.get("/graphql?query=mutation%20%7B%20setNuxSeen%20%7D").status_code == 405
    assert up.dagster.get("/graphql?query=%7B%20version%20%7D").status_code == 200


def test_killed_child_of_the_code_server_is_replaced_and_a_later_alert_gets_its_tick(
    up: Up, backfills: Backfills
) -> None:
    (child,) = _code_servers(up)
    child.kill()
    until(lambda: not is_alive(child))
    with Database(up.place.database_url).connect() as connection:
        (killed_at,) = connection.execute("select now()").fetchone() or ()
        outbox.record(connection, delivery.test_alert("", killed_at), killed_at)
    routed = "select routed_at from openai_costs.outbox where kind = 'test' and routed_at is not null"
    until(lambda: up.place.sql(routed))
    message = "the code server of openai_costs does not answer and was restarted"
    assert message in (up.place.folder / "up.log").read_text()
    assert [process.pid for process in _code_servers(up)] != [child.pid]
    sensors = json.loads(up.place.run("status", "--json").out)["scheduling"]["sensors"]
    assert {sensor["sensor"] for sensor in sensors} == {
        "openai_costs_alerts",
        "openai_costs_late_days",
        "openai_costs_refresh",
    }
    (alerts,) = [sensor for sensor in sensors if sensor["sensor"] == "openai_costs_alerts"]
    assert dt.datetime.fromisoformat(alerts["last_tick_at"]) > killed_at


def _code_servers(up: Up) -> list[psutil.Process]:
    """Return the code server processes that load the definitions, without the proxy process in front of them."""
    return [process for process in up.place.processes() if {"api", "grpc"} <= set(process.cmdline())]


def test_no_command_line_shows_a_key(up: Up) -> None:
    shown = [process.cmdline() for process in up.place.processes()]
    assert len(shown) > 3
    assert SECRET not in str(shown)


def test_interruption_ends_every_process_except_the_database_server(up: Up, backfills: Backfills) -> None:
    family = [psutil.Process(up.process.pid), *psutil.Process(up.process.pid).children(recursive=True)]
    assert len(family) > 3
    os.kill(up.process.pid, signal.SIGINT)
    assert up.process.wait(timeout=240) == 0
    assert not any(map(is_alive, family))
    assert {process.name() for process in up.place.processes()} == {"postgres"}
    with pytest.raises(httpx2.ConnectError):
        up.dagster.get("/server_info")
    printed = (up.place.folder / "up.log").read_text()
    assert "Dagster has stopped\n" in printed
    assert "PostgreSQL keeps running: openai-costs down stops it\n" in printed


def test_redirected_log_of_dagster_has_no_escape_sequences(up: Up, backfills: Backfills) -> None:
    log = (up.place.folder / "up.log").read_text()
    assert "- dagster.daemon - INFO - " in log
    assert "\x1b" not in log


def test_no_file_holds_a_key(up: Up, backfills: Backfills) -> None:
    files = [path for path in up.place.folder.rglob("*") if path.is_file()]
    assert {"up.log", "dagster.yaml", "PG_VERSION"} <= {path.name for path in files}
    assert [path for path in files if SECRET.encode() in _content(path)] == []


def _content(path: Path) -> bytes:
    """Return the contents of a file, or no bytes if PostgreSQL has deleted the file meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def test_no_table_holds_a_key_or_its_echo_in_a_response(up: Up, backfills: Backfills) -> None:
    tables = up.place.sql(
        """
        select table_schema, table_name from information_schema.tables
        where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'
        """
    )
    assert {"openai_costs", "openai_costs_dagster"} == {schema for schema, _ in tables}
    values = itertools.chain.from_iterable(_values(up, schema, table) for schema, table in tables)
    texts = list(map(_text, values))
    assert any(
        "org-SIMULATEDNORTH" in text and '"results"' in text for text in texts
    )  # The search covers the stored raw responses.
    assert any("Incorrect API key provided" in text for text in texts)
    assert [text for text in texts if SECRET in text or "sk-admin" in text] == []


def _values(up: Up, schema: str, table: str) -> Iterator[Any]:
    with psycopg.connect(up.place.database_url) as connection:
        for row in connection.execute(sql.SQL("select * from {}").format(sql.Identifier(schema, table))):
            yield from row


def _text(value: object) -> str:
    """Return a database value as text. Compressed bytes are decompressed first."""
    if not isinstance(value, bytes):
        return str(value)
    with suppress(zlib.error):
        value = zlib.decompress(value)
    return value.decode("utf-8", "replace")
