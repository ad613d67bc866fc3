"""Tests of `backfill`, which syncs days in its own processes and exits with 1 if a day failed."""

from __future__ import annotations

import datetime as dt
import os
import pty
import re
import signal
import subprocess
import termios
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from openai_costs_dagster.simulator import Fault, FaultKind, SimulatedOrganization, Simulator

from ..loaded import HISTORY, VANISHING_HISTORY, Loaded
from ..midnight import today
from .program import PROGRAM, Finished, Workplace, days_ago, expected_costs, kill_group, lines, until, yesterday


def first_day() -> dt.date:
    return days_ago(HISTORY - 1)


def test_every_day_of_every_organization_is_stored_to_the_last_digit(loaded: Loaded) -> None:
    assert loaded.backfill.code == 0, loaded.backfill
    for name, organization in loaded.organizations.items():
        assert loaded.place.stored(name) == expected_costs(organization, first_day())
        assert today() in loaded.place.stored_days(name)


def test_progress_is_plain_lines_without_a_terminal(loaded: Loaded) -> None:
    printed = lines(loaded.backfill.out)
    days = 2 * HISTORY + VANISHING_HISTORY
    assert re.fullmatch(rf"backfill: \d+ of {days} days", printed[0])
    assert f"backfill: {days} of {days} days" in printed
    for name in loaded.organizations:
        summary = rf"{name}: {HISTORY} days stored, \$[\d,]+\.\d\d, \d+ requests"
        assert len([line for line in printed if re.fullmatch(summary, line)]) == 1
    assert "\x1b" not in loaded.backfill.out
    assert loaded.backfill.err == ""


def test_each_organization_is_one_dagster_run(loaded: Loaded) -> None:
    found = loaded.place.sql(
        """
        select key.value, first.value, last.value, run.status
        from openai_costs_dagster.runs as run
        join openai_costs_dagster.run_tags as first
            on first.run_id = run.run_id and first.key = 'dagster/asset_partition_range_start'
        join openai_costs_dagster.run_tags as last
            on last.run_id = run.run_id and last.key = 'dagster/asset_partition_range_end'
        join openai_costs_dagster.run_tags as key on key.run_id = run.run_id and key.key = 'openai-costs/trigger'
        where first.value = %s
        """,
        str(first_day()),
    )
    assert found == [("backfill", str(first_day()), str(today()), "SUCCESS")] * 2


def test_log_of_backfill_processes_is_written(loaded: Loaded) -> None:
    log = loaded.place.data / "logs" / "openai-costs.log"
    assert "RUN_SUCCESS" in log.read_text()


def test_terminal_gets_a_progress_bar_and_the_last_day_is_inclusive(loaded: Loaded) -> None:
    requested_days = [days_ago(3), days_ago(2), yesterday()]
    loaded.simulator.requests.clear()
    finished = _on_a_terminal(
        loaded.place, "backfill", "--org", "acme", "--from", str(requested_days[0]), "--to", str(requested_days[-1])
    )
    assert finished.code == 0, finished
    assert "━" in finished.out
    assert "3/3" in finished.out
    assert re.search(r"acme: 3 days stored, \$[\d,.]+, \d+ requests", finished.out)
    assert "backfill: " not in finished.out
    # Requests for names have no start time.
    dated = [request for request in loaded.simulator.requests if "start_time" in request.query]
    starts = {int(request.query["start_time"][0]) for request in dated}
    ends = {int(request.query["end_time"][0]) for request in dated}
    assert (len(starts), len(ends)) == (1, 1)
    assert ends.pop() - starts.pop() == 3 * 86_400


def _on_a_terminal(place: Workplace, *command: str) -> Finished:
    """Run a command whose standard output is a terminal of 100 columns."""
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (40, 100))
    process = subprocess.Popen(  # noqa: S603  # our own program
        [str(PROGRAM), *command],
        cwd=place.folder,
        env={**place.environment, "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    os.close(terminal)
    try:
        shown = b"".join(_read(controller))
        _, errors = process.communicate(timeout=30)
    finally:
        kill_group(process.pid)
        process.wait()
        os.close(controller)
    return Finished(process.returncode, shown.decode(), errors.decode())


def _read(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            yield os.read(terminal, 65_536)
        except OSError:
            # Linux raises this error when no process has the other end of the terminal open.
            return


@dataclass(frozen=True)
class PartlyFailedBackfill:
    """A finished backfill of which some days and one organization failed."""

    place: Workplace
    whole: SimulatedOrganization
    short: SimulatedOrganization
    same: SimulatedOrganization
    finished: Finished


@pytest.fixture(scope="module")
def partly_failed(loaded: Loaded) -> Iterator[PartlyFailedBackfill]:
    """Backfill one complete organization, one whose API serves three days, and one that is configured twice."""
    whole = SimulatedOrganization(organization_id="org-SIMULATEDWHOLE", admin_key="sk-admin-simulated-whole")
    short = SimulatedOrganization(
        organization_id="org-SIMULATEDSHORT", admin_key="sk-admin-simulated-short", lookback_days=3
    )
    same, again = (
        SimulatedOrganization(organization_id="org-SIMULATEDSAME", admin_key=f"sk-admin-simulated-same-{number}")
        for number in range(2)
    )
    named = {"whole": whole, "short": short, "same": same, "same-again": again}
    with Simulator(list(named.values())) as simulator:
        config = loaded.place.configure(simulator, named, file="failing.yaml", start_date=days_ago(5))
        finished = loaded.place.run("backfill", "--from", str(days_ago(5)), OPENAI_COSTS_CONFIG=str(config))
        yield PartlyFailedBackfill(loaded.place, whole, short, same, finished)


def test_days_that_fail_are_named_with_their_reason_and_the_others_are_stored(
    partly_failed: PartlyFailedBackfill,
) -> None:
    finished, place = partly_failed.finished, partly_failed.place
    assert finished.code == 1, finished
    assert "short: 2 days failed, 4 stored\n" in finished.out
    assert (
        f"  {days_ago(5)}..{days_ago(4)}: Usage and cost data are available for the past year."
        f" Earliest supported start date: {days_ago(3)} (UTC).\n"
    ) in finished.out
    assert "Traceback" not in finished.output
    assert place.stored_days("short") == {days_ago(days) for days in range(4)}
    assert place.stored("short") == expected_costs(partly_failed.short, days_ago(3))


def test_failure_of_one_organization_does_not_stop_the_others(partly_failed: PartlyFailedBackfill) -> None:
    assert "whole: 6 days stored, " in partly_failed.finished.out
    assert partly_failed.place.stored("whole") == expected_costs(partly_failed.whole, days_ago(5))


def test_duplicate_organization_found_in_responses_is_not_counted_twice(partly_failed: PartlyFailedBackfill) -> None:
    finished, place = partly_failed.finished, partly_failed.place
    assert re.search(
        r"(same and same-again|same-again and same) are one OpenAI organization \(org-SIMULATEDSAME\), "
        "which would be counted twice: keep one of the two names",
        finished.out,
    )
    stored = [place.stored("same"), place.stored("same-again")]
    assert sorted(map(bool, stored)) == [False, True]
    assert max(stored, key=len) == expected_costs(partly_failed.same, days_ago(5))


def test_interruption_ends_its_processes_and_its_run(loaded: Loaded) -> None:
    place = loaded.place
    slow = SimulatedOrganization(organization_id="org-SIMULATEDSLOW", admin_key="sk-admin-simulated-slow")
    with Simulator([slow]) as simulator:
        simulator.faults.queue(Fault(FaultKind.HANG, seconds=600))
        config = place.configure(simulator, {"slow": slow}, file="slow.yaml", start_date=days_ago(2))
        others = set(place.processes())
        with place.started("backfill", environment={"OPENAI_COSTS_CONFIG": str(config)}) as process:
            until(lambda: simulator.requests)
            os.kill(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "interrupted; days that were already stored remain"
    assert "Traceback" not in out
    assert set(place.processes()) <= others
    assert "STARTED" not in place.run_statuses()
    assert place.stored_days("slow") == set()


_FILL_DISK = """
create function public.fill_disk() returns trigger language plpgsql as $$
begin
    raise sqlstate '53100' using message = 'could not extend file "base/5/1": No space left on device';
end
$$;
create trigger fill_disk before insert on openai_costs_dagster.event_logs
for each row when (new.dagster_event_type = 'EVENT') execute function public.fill_disk()
"""


@pytest.mark.parametrize("event", ["ASSET_MATERIALIZATION", "PIPELINE_SUCCESS"])
def test_full_disk_of_the_server_is_named_and_the_next_backfill_continues(loaded: Loaded, event: str) -> None:
    """PostgreSQL fails as with a full disk when Dagster stores an event, within a step and after the last step."""
    place = loaded.place
    unlucky = SimulatedOrganization(organization_id="org-SIMULATEDFULL", admin_key="sk-admin-simulated-full")
    with Simulator([unlucky]) as simulator:
        config = place.configure(simulator, {"unlucky": unlucky}, file="full.yaml", start_date=days_ago(2))
        with psycopg.connect(place.database_url, autocommit=True) as connection:
            connection.execute(_FILL_DISK.replace("EVENT", event))
            failed = place.run("backfill", OPENAI_COSTS_CONFIG=str(config))
            connection.execute("drop function public.fill_disk() cascade")
        again = place.run("backfill", OPENAI_COSTS_CONFIG=str(config))
    assert failed.code == 1, failed
    assert 'could not extend file "base/5/1": No space left on device' in failed.out.splitlines()[-1]
    assert "INSERT INTO" not in failed.output
    assert "Traceback" not in failed.output
    assert again.code == 0, again
    assert place.stored("unlucky") == expected_costs(unlucky, days_ago(2))
    assert "STARTED" not in place.run_statuses()
