"""Contract of the Grafana dashboards: they can be imported, and each query returns the columns of its panel.

The tests run without Grafana. The module `grafana` expands queries as Grafana does, and the dashboards are compared
with Grafana's schema. Every query runs as the user of `read_only_user.sql`, who may only read views.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from openai_costs_dagster.warehouse.database import Connection

from ..conftest import NOW
from ..sync_setup import total
from .grafana import NotExpanded, TimeRange, expand
from .queries import fetch_dicts
from .sample import HOSTILE_NAME, HOSTILE_PROJECT, Sample

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
FILES = sorted((FOLDER / "dashboards").glob("*.json"), key=lambda file: file.stem)
POSTGRES = {"type": "grafana-postgresql-datasource", "uid": "${datasource}"}
RANGE = TimeRange(NOW - dt.timedelta(days=60), NOW)
COLUMNS_OF_GRAFANA = 24

Dashboard = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """A query of a dashboard with the format and the units of its result."""

    where: str
    text: str
    format: str
    units: Mapping[str, str | None] = field(default_factory=dict)
    """Units of the columns for which the panel overrides the default, by column."""
    unit: str | None = None
    """Unit of all other columns."""


def dashboard(file: Path) -> Dashboard:
    found: Dashboard = json.loads(file.read_text(encoding="utf-8"))
    return found


def variables(board: Dashboard) -> list[Query]:
    return [
        Query(variable["name"], variable["query"], "variable")
        for variable in board["templating"]["list"]
        if variable["type"] == "query"
    ]


def panel_queries(board: Dashboard) -> Iterator[Query]:
    for panel in board["panels"]:
        config = panel["fieldConfig"]
        units = {override["matcher"]["options"]: unit_of(override["properties"]) for override in config["overrides"]}
        for target in panel["targets"]:
            yield Query(panel["title"], target["rawSql"], target["format"], units, config["defaults"].get("unit"))


def unit_of(properties: Sequence[Mapping[str, Any]]) -> str | None:
    return next((item["value"] for item in properties if item["id"] == "unit"), None)


def queries(board: Dashboard) -> list[Query]:
    annotations = [
        Query(annotation["name"], annotation["target"]["rawSql"], "annotation")
        for annotation in board["annotations"]["list"]
    ]
    return [*panel_queries(board), *annotations]


every_dashboard = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
every_query = pytest.mark.parametrize(
    ("file", "query"),
    [
        pytest.param(file, query, id=f"{file.stem}, {query.where}")
        for file in FILES
        for query in queries(dashboard(file))
    ],
)


def options(reader: Connection, board: Dashboard) -> dict[str, list[str]]:
    """Return all values of each variable. The query of a variable may use the variables before it."""
    chosen: dict[str, list[str]] = {}
    for variable in variables(board):
        rows = fetch_dicts(reader, expand(variable.text, chosen, RANGE))
        assert rows
        assert all(list(row) == ["__text", "__value"] and all(row.values()) for row in rows), variable.where
        chosen[variable.where] = [row["__value"] for row in rows]
    return chosen


# Structure


def test_two_dashboards_have_distinct_names() -> None:
    boards = [dashboard(file) for file in FILES]
    assert [board["uid"] for board in boards] == ["openai-spend", "openai-spend-watch"] == [path.stem for path in FILES]
    assert [board["title"] for board in boards] == ["OpenAI spend", "OpenAI spend monitoring"]


@every_dashboard
def test_dashboard_can_be_imported_anywhere(file: Path) -> None:
    board = dashboard(file)
    assert board["id"] is None
    assert board["schemaVersion"] >= 38
    assert board["timezone"] == "utc"
    assert board["description"]
    first, *others = board["templating"]["list"]
    assert (first["type"], first["name"], first["query"]) == ("datasource", "datasource", POSTGRES["type"])
    assert {variable["name"] for variable in others} >= {"organization"}
    for variable in others:
        assert variable["multi"]
        assert variable["includeAll"]
        assert variable["allValue"] is None
        assert variable["definition"] == variable["query"]


@every_dashboard
def test_panels_use_the_data_source_variable(file: Path) -> None:
    def found(part: Any) -> Iterator[Any]:
        if isinstance(part, dict):
            yield from ([part["datasource"]] if "datasource" in part else [])
            part = list(part.values())
        if isinstance(part, list):
            for element in part:
                yield from found(element)

    sources = list(found(dashboard(file)))
    assert len(sources) > 20
    assert [source for source in sources if source != POSTGRES] == []


@every_dashboard
def test_every_panel_has_a_description(file: Path) -> None:
    panels = dashboard(file)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["title"]
        assert re.fullmatch(r"[A-Z].{20,}\.", panel["description"]), panel["title"]
        assert panel["type"] in {"stat", "timeseries", "table", "gauge"}
        assert panel["targets"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        assert all(target["rawQuery"] and target["editorMode"] == "code" for target in panel["targets"])


@every_dashboard
def test_panels_fill_the_grid_without_overlap_or_gap(file: Path) -> None:
    places = [panel["gridPos"] for panel in dashboard(file)["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    bottom = max(y for _, y in cells) + 1
    assert set(cells) == set(itertools.product(range(COLUMNS_OF_GRAFANA), range(bottom)))


@every_dashboard
def test_links_lead_to_existing_dashboards(file: Path) -> None:
    tags = {tag for other in FILES for tag in dashboard(other)["tags"]}
    assert {tag for link in dashboard(file)["links"] for tag in link["tags"]} <= tags


MONEY = frozenset(
    {
        *(
            "spend",
            "impact",
            "actual",
            "expected",
            "limit",
            "spent",
            "forecast",
            "at least",
            "at most",
            "before",
            "after",
        ),
        *("change", "restated", "month to date", "yesterday", "difference", "value"),
    }
)
"""Names of the columns that contain US dollars."""


# Queries


@every_query
def test_query_reads_only_views_and_applies_the_selection(file: Path, query: Query) -> None:
    assert set(re.findall(r"\b(?:from|join) (\w+)\.", query.text)) == {"openai_costs"}
    assert "${organization:sqlstring}" in query.text
    assert "now()" not in query.text
    assert "current_date" not in query.text


@every_query
def test_query_returns_the_columns_of_its_panel(file: Path, query: Query, reader: Connection) -> None:
    rows = fetch_dicts(reader, expand(query.text, options(reader, dashboard(file)), RANGE))
    assert rows
    columns = rows[0]
    assert query.units.keys() <= columns.keys()
    if query.format != "annotation":
        units = {column: query.units.get(column) or query.unit for column in columns}
        assert {units[column] for column in MONEY & units.keys()} <= {"currencyUSD"}
    match query.format:
        case "time_series":
            assert list(columns) == ["time", "metric", "value"]
            assert all(isinstance(row["metric"], str) and is_utc_midnight(row["time"]) for row in rows)
            assert all(isinstance(row["value"], Decimal) for row in rows)
            assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
            assert len({(row["time"], row["metric"]) for row in rows}) == len(rows)
        case "annotation":
            assert list(columns) == ["time", "text", "tags"]
            assert all(is_utc_midnight(row["time"]) and row["text"] for row in rows)
        case "table":
            assert not any(isinstance(value, list | dict | dt.date) for row in rows for value in row.values())
        case _:
            pytest.fail(f"{query.format} is not a query format of Grafana")


def is_utc_midnight(moment: dt.datetime) -> bool:
    return moment.astimezone(dt.UTC).time() == dt.time()


@every_query
def test_query_runs_with_a_selection_that_matches_no_rows(file: Path, query: Query, reader: Connection) -> None:
    nothing = {name: ["nobody's"] for name in options(reader, dashboard(file))}
    rows = fetch_dicts(reader, expand(query.text, nothing, RANGE))
    # A panel with a single value returns one row without a value.
    assert len(rows) <= 1


@every_query
@pytest.mark.parametrize(
    "name", [HOSTILE_NAME, "') or true; drop view openai_costs.daily_costs; --", "\\'; select 1 --"]
)
def test_quoted_names_do_not_change_a_query(file: Path, query: Query, reader: Connection, name: str) -> None:
    named = {variable: [name] for variable in options(reader, dashboard(file))}
    assert fetch_dicts(reader, expand(query.text, named, RANGE)) is not None


def test_hostile_names_select_their_own_spend(reader: Connection, sample: Sample) -> None:
    board = dashboard(FOLDER / "dashboards" / "openai-spend.json")
    chosen = options(reader, board)
    assert HOSTILE_NAME in chosen["organization"]
    assert HOSTILE_PROJECT.id in chosen["project"]
    month = next(query for query in panel_queries(board) if query.where == "Month to date")
    mine = "organization = %s and usage_date >= '2026-03-01'"
    for name, value, where in (
        ("organization", HOSTILE_NAME, mine),
        ("project", HOSTILE_PROJECT.id, "project_id = %s and usage_date >= '2026-03-01'"),
    ):
        shown = fetch_dicts(reader, expand(month.text, {**chosen, name: [value]}, RANGE))[0]["month to date"]
        expected = reader.execute(f"select sum(amount) from openai_costs.daily_costs where {where}", [value]).fetchone()  # noqa: S608  # our own words
        assert expected
        assert shown == expected[0] > 0


def test_all_option_selects_every_value(reader: Connection, sample: Sample) -> None:
    """The option includes spend without a project or a model, so the sums equal those of the views."""
    board = dashboard(FOLDER / "dashboards" / "openai-spend.json")
    chosen = options(reader, board)
    by_title = {query.where: query for query in panel_queries(board)}
    spend = "select sum(amount) from openai_costs.daily_costs where usage_date between %s and %s"
    whole = scalar(reader, spend, [RANGE.start.date(), NOW.date()])
    for title in ("service", "project", "model"):
        rows = fetch_dicts(reader, expand(by_title[f"Spend by day and {title}"].text, chosen, RANGE))
        assert total({number: row["value"] for number, row in enumerate(rows)}) == whole
        assert len({row["metric"] for row in rows}) <= 13
    for title, first, last in (
        ("Month to date", NOW.date().replace(day=1), NOW.date()),
        ("Yesterday", NOW.date() - dt.timedelta(days=1), NOW.date() - dt.timedelta(days=1)),
    ):
        row = fetch_dicts(reader, expand(by_title[title].text, chosen, RANGE))[0]
        assert list(row.values()) == [scalar(reader, spend, [first, last])]


def scalar(reader: Connection, query: str, parameters: Sequence[Any]) -> Any:
    row = reader.execute(query, parameters).fetchone()
    assert row
    return row[0]


def test_variables_have_an_entry_on_an_empty_database(connection: Connection) -> None:
    """Without an entry, Grafana would expand the variable to `in ()`, which is invalid SQL."""
    for file in FILES:
        board = dashboard(file)
        chosen = options(connection, board)
        assert set(itertools.chain(*chosen.values())) == {"(none)"}
        for query in queries(board):
            fetch_dicts(connection, expand(query.text, chosen, RANGE))


# Access and provisioning


def test_reader_cannot_query_tables_behind_the_views(reader: Connection) -> None:
    for table in ("raw_buckets", "cost_rows", "directory_names", "organizations"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(f"select from openai_costs.{table}")


def provisioned(kind: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load((FOLDER / "provisioning" / kind / "openai-costs.yaml").read_text("utf-8"))
    return found


def test_provisioned_data_source_has_the_reader_role_and_no_secret() -> None:
    (source,) = provisioned("datasources")["datasources"]
    assert source["type"] == POSTGRES["type"]
    assert source["user"] == "openai_costs_reader"
    assert source["secureJsonData"] == {"password": "$OPENAI_COSTS_READER_PASSWORD"}
    assert source["jsonData"]["database"] == "$OPENAI_COSTS_DATABASE_NAME"


def test_provisioned_dashboards_come_from_a_folder() -> None:
    (provider,) = provisioned("dashboards")["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"].startswith("/var/lib/grafana/")


def test_unsafe_grafana_expansions_are_refused() -> None:
    for query in ("select $organization", "select ${organization}", "select ${organization:csv}", "$__interval_ms(1)"):
        with pytest.raises((NotExpanded, KeyError)):
            expand(query, {"organization": ["acme"]}, RANGE)
