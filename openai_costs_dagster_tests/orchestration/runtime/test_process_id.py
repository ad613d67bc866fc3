"""Tests of the states of recorded processes on this host, on another host and in containers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from openai_costs_dagster.orchestration.runtime import process_id
from openai_costs_dagster.orchestration.runtime.process_id import Place, Process, State

HOST = Place("web-1", "4f2a", "boot-1", "pid:[4026531836]")
CONTAINER = replace(HOST, host="6c1d9e", namespace="pid:[4026532201]")


@pytest.fixture(autouse=True)
def _on_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_id, "here", lambda: HOST)


@pytest.mark.parametrize(
    ("recorded", "state"),
    [
        pytest.param(HOST, State.ENDED, id="same boot"),
        pytest.param(replace(HOST, boot="boot-0"), State.ENDED, id="the machine has restarted"),
        pytest.param(replace(HOST, boot="boot-0", machine=""), State.UNKNOWN, id="other boot, machine id unknown"),
        pytest.param(replace(HOST, host="web-2"), State.UNKNOWN, id="other host name on a cloned disk"),
        pytest.param(replace(HOST, machine="9b07", boot="boot-9"), State.UNKNOWN, id="other machine, same host name"),
        pytest.param(CONTAINER, State.UNKNOWN, id="container of this host"),
        pytest.param(replace(CONTAINER, host=HOST.host), State.UNKNOWN, id="container with the same host name"),
        pytest.param(replace(CONTAINER, host=HOST.host, boot="boot-0"), State.UNKNOWN, id="container, other boot"),
    ],
)
def test_process_of_another_host_is_unknown(recorded: Place, state: State) -> None:
    assert Process(2**22 + 1, "1", recorded).state is state


def test_processes_of_the_former_container_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_id, "here", lambda: replace(CONTAINER, namespace="pid:[4026532999]"))
    assert Process(2**22 + 1, "1", CONTAINER).state is State.UNKNOWN


def test_process_whose_id_was_reused_has_ended() -> None:
    own = Process.of()
    assert own.state is State.RUNNING
    assert replace(own, start=f"{own.start}0").state is State.ENDED


def test_process_is_unknown_without_proc_of_the_own_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Process.of()
    monkeypatch.setattr(os, "getpid", lambda: own.pid + 1)
    assert own.state is State.UNKNOWN


@pytest.mark.parametrize("place", [HOST, replace(HOST, boot="boot-0"), CONTAINER])
def test_signal_is_sent_to_running_local_processes_only(place: Place) -> None:
    assert not replace(Process.of(), start="1", place=place).send(signal.SIGTERM)


def test_recorded_process_is_parsed() -> None:
    own = Process.of()
    assert Process.parse(str(own)) == own
    assert process_id.of_run("one", process_id.tag_of("one", own)) == own
    assert process_id.of_run("its-retry", process_id.tag_of("one", own)) is None


@pytest.mark.parametrize("text", ["", "4711@4f2a+99", "[]", "{}", '{"pid": "x", "start": "1", "place": {}}'])
def test_other_text_is_not_a_process(text: str) -> None:
    assert Process.parse(text) is None


UNSHARE = [shutil.which("unshare") or "", "--user", "--map-root-user", "--uts", "--pid", "--fork", "--mount-proc"]
PRINT_STATE = """
import sys
from openai_costs_dagster.orchestration.runtime.process_id import Process
print(Process.parse(sys.argv[1]).state)
"""


def _can_unshare() -> bool:
    return bool(UNSHARE[0]) and subprocess.run([*UNSHARE, "true"], check=False, capture_output=True).returncode == 0  # noqa: S603 - a fixed command


@pytest.mark.skipif(not _can_unshare(), reason="this machine allows no namespaces")
def test_process_is_unknown_from_another_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for recorded in (Process.of(), replace(Process.of(), pid=2**22 + 1)):
        command = [*UNSHARE, sys.executable, "-c", PRINT_STATE, str(recorded)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own program
        assert printed.stdout == "State.UNKNOWN\n"
