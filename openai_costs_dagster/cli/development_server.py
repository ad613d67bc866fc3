"""Runs `dagster dev` and ends it well: SIGINT to its group and a wait, for SIGTERM leaves children behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil

from openai_costs_dagster.cli.sentences import InputMistake
from openai_costs_dagster.orchestration import processes
from openai_costs_dagster.orchestration.parts import parts
from openai_costs_dagster.orchestration.processes import State

_PATIENCE = 30.0  # seconds for its children to end
_UP_WITHIN = 120.0
_LOOPBACK = "127.0.0.1"
PREFERRED_PORT = 3000


class DevelopmentServer:
    """Dagster's webserver, daemon and code server, noted in a file so that another process can end them."""

    def __init__(self, note: Path, organizations: int = 1) -> None:
        self._note = note
        self._organizations = organizations
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self, environment: Mapping[str, str], *, host: str, port: int | None, log_format: str, log_file: Path | None
    ) -> str:
        """Starts it and returns the UI's address once it answers. Raises RuntimeError where it ends instead."""
        port = port or free_port(PREFERRED_PORT)
        workspace = self._note.with_name("workspace.yaml")
        workspace.write_text(workspace_of(self._organizations), encoding="utf-8")
        output = log_file.open("ab") if log_file else None
        colored = "colored" if log_format == "text" else log_format
        self._process = subprocess.Popen(  # noqa: S603 - Dagster's own program
            [
                *(sys.executable, "-m", "dagster", "dev", "-w", str(workspace)),
                *("-h", host, "-p", str(port), "--log-format", colored),
            ],
            env={**os.environ, **environment, "PYTHONWARNINGS": "ignore"},
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            start_new_session=True,
        )
        self._write_note(host, port)
        url = f"http://{_LOOPBACK if host in {'0.0.0.0', ''} else host}:{port}"  # noqa: S104 - compared, not bound
        self._await(url)
        return url

    def wait(self) -> int:
        """Waits until it ends by itself; returns its exit code."""
        assert self._process  # noqa: S101 - started before
        return self._process.wait()

    def stop(self) -> None:
        """Ends it and its children."""
        if self._process:
            _end(self._process.pid)
            self._process.wait()
        self._note.unlink(missing_ok=True)

    def _write_note(self, host: str, port: int) -> None:
        assert self._process  # noqa: S101 - called by start
        process = str(processes.Process.of(self._process.pid))
        noted = {"pid": self._process.pid, "process": process, "host": host, "port": port}
        self._note.write_text(json.dumps(noted), encoding="utf-8")

    def _await(self, url: str) -> None:
        assert self._process  # noqa: S101 - called by start
        deadline = time.monotonic() + _UP_WITHIN
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"Dagster ended with {self._process.returncode} before it answered")
            try:
                if httpx2.get(f"{url}/server_info", timeout=2, trust_env=False).status_code == 200:
                    return
            except httpx2.HTTPError:
                time.sleep(0.2)
        raise RuntimeError(f"Dagster does not answer at {url} within {_UP_WITHIN:.0f} s")


def workspace_of(organizations: int) -> str:
    """A workspace file that calls the code location as the checkout's own does; of very many organizations, several."""
    modules = [{"module_name": "openai_costs_dagster.definitions", "location_name": "openai_costs"}]
    several = parts(organizations)
    if len(several) > 1:
        modules = [
            {
                "module_name": "openai_costs_dagster.parts",
                "attribute": part.name,
                "location_name": f"openai_costs_{part.number}",
            }
            for part in several
        ]
    return json.dumps({"load_from": [{"python_module": one} for one in modules]})  # JSON is YAML


def noted(note: Path) -> processes.Process | None:
    """The process that a note names; None if there is no such note."""
    try:
        return processes.Process.parse(json.loads(note.read_text(encoding="utf-8"))["process"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def stop_noted(note: Path) -> bool:
    """Stops the process in a note and its children; returns whether it was running.

    Raises InputMistake if the process belongs to another host or container, where it may be running.
    """
    process = noted(note)
    if process and process.state is State.UNKNOWN:
        raise InputMistake(
            f"{note} names a process of {process.place.host}, another host or container: "
            "stop it there, or delete the file if that host is gone"
        )
    is_running = process is not None and process.state is State.RUNNING
    if process and is_running:
        _end(process.pid)
    note.unlink(missing_ok=True)
    return is_running


def free_port(preferred: int = 0) -> int:
    """The preferred port of this machine, or any free one."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RuntimeError("this machine has no free port")


def _end(pid: int) -> None:
    """SIGINT to the group, then patience, then an end to what is left of it, whether or not its leader still is.

    A run may have outlived the process that started it, and `dagster dev` starts code servers again that end first.
    """
    family = _family(pid)
    _signal(pid, signal.SIGINT)
    psutil.wait_procs(family, timeout=_PATIENCE)
    _signal(pid, signal.SIGKILL)
    psutil.wait_procs(_family(pid), timeout=5)


def _family(pid: int) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _group_of(process) == pid]


def _group_of(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except (ProcessLookupError, PermissionError):
        return None


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS refuses where only the unburied are left
        os.killpg(group, number)
