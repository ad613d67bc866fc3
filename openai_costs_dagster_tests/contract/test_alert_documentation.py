"""Contract of docs/alerts.md: every kind and event of alerts and every field of the webhook is documented."""

from __future__ import annotations

import ast
import datetime as dt
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import openai_costs_dagster
from openai_costs_dagster.alerts.channels import signature_headers, webhook_body
from openai_costs_dagster.alerts.message import Message
from openai_costs_dagster.alerts.routing import TEST
from openai_costs_dagster.configuration.settings import Kind
from openai_costs_dagster.monitoring import budgets, incident_alerts, late_days
from openai_costs_dagster.sync import failure_alerts, key_alerts
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.outbox import StoredAlert

from ..conftest import NOW
from .queries import fetch_dicts

ROOT = Path(openai_costs_dagster.__file__).parent
PAGE = (ROOT.parent / "docs" / "alerts.md").read_text(encoding="utf-8")
KINDS = {*get_args(Kind), TEST}

EVENTS = {
    (incident_alerts, "anomaly"): set(incident_alerts._TITLES),
    (budgets, budgets.KIND): {budgets._CROSSED, budgets._FORECAST},
    (failure_alerts, failure_alerts.KIND): {"failed", "recovered"},
    (late_days, failure_alerts.KIND): {"failed", "recovered"},
    (key_alerts, failure_alerts.KIND): {"expires", "aged"},
}
"""The events of each module that creates alerts. The tests below compare them with the source."""


def documented() -> set[tuple[str, str]]:
    return set(re.findall(r"^\| `(\w+)` \| `(\w+)` \| .{10,} \| .+ \|$", PAGE, re.MULTILINE))


def modules_with_alerts() -> Iterator[tuple[str, ast.Module]]:
    """Yield the name and the syntax tree of each module that creates alerts."""
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
        if any(isinstance(made, ast.Attribute) and ast.unparse(made) == "outbox.Alert" for made in calls):
            yield path.stem, tree


def test_all_modules_with_alerts_are_listed() -> None:
    known = {module.__name__.rpartition(".")[2] for module, _ in EVENTS}
    assert {name for name, _ in modules_with_alerts()} == known | {"delivery"}  # `delivery` creates only test alerts


def test_every_event_in_the_source_is_listed() -> None:
    for name, tree in modules_with_alerts():
        events = {
            keyword.value.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            for keyword in node.keywords
            if keyword.arg == "event" and isinstance(keyword.value, ast.Constant)
        }
        known = {event for (module, _), found in EVENTS.items() if module.__name__.endswith(name) for event in found}
        assert events <= known, name


def test_every_kind_and_event_is_documented() -> None:
    assert documented() == {(kind, event) for (_, kind), events in EVENTS.items() for event in events}
    assert {kind for kind, _ in documented()} | {TEST} == KINDS
    assert re.search(rf"^\| `{TEST}` \| .+ \| .+ \| .+ \|$", PAGE, re.MULTILINE)


def test_every_configurable_kind_is_explained() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| [^`|]+ \|$", PAGE, re.MULTILINE)) >= set(get_args(Kind))


def test_sent_alerts_are_documented(reader: Connection) -> None:
    stored = {(row["kind"], row["event"]) for row in fetch_dicts(reader, "select kind, event from openai_costs.alerts")}
    assert len(stored) >= 4
    assert stored <= documented()


def test_every_field_and_header_of_the_webhook_is_documented() -> None:
    alert = StoredAlert(
        alert_id=1,
        created_at=NOW,
        dedup_key="anomaly/opened/acme",
        kind="anomaly",
        event="opened",
        severity="high",
        title="",
        message="",
        organization="acme",
        project_id="proj_search",
        usage_date=dt.date(2026, 11, 20),
        facts=[("Spent", "$1")],
        page="/page",
    )
    body = webhook_body(Message("key", [alert], "https://dagster.example"), NOW)
    (example,) = re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)
    shown = json.loads(example)
    assert list(shown) == list(body)
    assert list(shown["alerts"][0]) == list(body["alerts"][0])
    assert [header for header in signature_headers("key", NOW, b"", "secret") if f"`{header}`" not in PAGE] == []
