"""Tests of `anomalies`, which lists findings and stores feedback, and of `backtest`, which evaluates a spend table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from ..loaded import Loaded
from ..spend.detection.panels import BESIDE, spend_rows, steady
from .conftest import RunCommand
from .program import days_ago, lines


@pytest.fixture
def spend(tmp_path: Path) -> Path:
    """A CSV file with four months of spend and one spike."""
    values = {("search", "gpt"): steady(100), **BESIDE}
    values["search", "gpt"][92] *= 5
    path = tmp_path / "spend.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["amount", "date", "note", "model", "project", "organization"])
        for leaf in spend_rows(values):
            writer.writerow([leaf.amount, leaf.day, "x", leaf.model, leaf.project, leaf.organization])
    return path


def verdicts(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_day_of_every_series_is_a_line_and_the_spike_is_flagged(
    run_command: RunCommand, spend: Path, tmp_path: Path
) -> None:
    out = tmp_path / "flags.csv"
    finished = run_command("backtest", str(spend), "--out", str(out))
    assert (finished.code, finished.err) == (0, "")
    found = verdicts(out)
    assert list(found[0]) == [
        "organization",
        "project",
        "model",
        "date",
        "flagged",
        "score",
        "expected",
        "lower",
        "upper",
        "reason",
    ]
    assert len(found) == 120 * (4 + 2 + 2 + 1)
    flagged = [(row["project"], row["model"], row["date"]) for row in found if row["flagged"] == "true"]
    assert ("search", "gpt", "2026-04-07") in flagged
    assert {date for _, _, date in flagged} == {"2026-04-07"}
    printed = lines(finished.out)
    assert printed[0].startswith("Wrote 1,080 verdicts on 9 series to ")
    assert [line.split()[0] for line in printed[-3:]] == ["low", "medium", "high"]


def test_spike_below_the_minimum_impact_is_not_flagged(run_command: RunCommand, spend: Path, tmp_path: Path) -> None:
    out = tmp_path / "flags.csv"
    run_command("backtest", str(spend), "--out", str(out), "--minimum-impact-usd", "5000")
    assert not any(row["flagged"] == "true" for row in verdicts(out))


def test_formulas_in_names_are_escaped(run_command: RunCommand, tmp_path: Path) -> None:
    spend, out = tmp_path / "spend.csv", tmp_path / "flags.csv"
    spend.write_text("organization,project,model,date,amount\nacme,=1+1,@m,2026-01-01,3\n")
    assert run_command("backtest", str(spend), "--out", str(out)).code == 0
    assert {row["project"] for row in verdicts(out)} == {"", "'=1+1"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "has no column organization and no column project"),
        ("organization,project,date,amount\n", "has no column model"),
        ("organization,project,model,date,amount\n", "contains no spend"),
        ("organization,project,model,date,amount\na,b,c,yesterday,1\n", "line 2: 'yesterday' is not a date"),
        ("organization,project,model,date,amount\na,b,c,2026-01-01,$5\n", "line 2: '$5' is not an amount"),
        ("organization,project,model,date,amount\na,b,c,2026-01-01,nan\n", "line 2: 'nan' is not an amount of money"),
        ("organization,project,model,date,amount\na,b,c\n", "line 2: the line has only 3 cells"),
    ],
)
def test_invalid_table_is_refused_with_its_line(
    run_command: RunCommand, tmp_path: Path, table: str, message: str
) -> None:
    spend = tmp_path / "spend.csv"
    spend.write_text(table)
    finished = run_command("backtest", str(spend), "--out", str(tmp_path / "flags.csv"))
    assert finished.code == 2
    assert message in finished.err
    assert not (tmp_path / "flags.csv").exists()


def test_missing_file_is_refused(run_command: RunCommand, tmp_path: Path) -> None:
    finished = run_command("backtest", str(tmp_path / "none.csv"), "--out", str(tmp_path / "flags.csv"))
    assert finished.code == 2
    assert "none.csv cannot be read: No such file" in finished.err


def test_findings_are_listed_explained_and_get_feedback(loaded: Loaded) -> None:
    place = loaded.place
    listed = json.loads(place.run("anomalies", "list", "--org", "acme", "--json").out)
    assert listed
    number = str(listed[0]["anomaly_id"])
    explained = place.run("anomalies", "explain", number)
    assert lines(explained.out)[0] == listed[0]["explanation"]
    assert f"  actual: {listed[0]['actual']}" in explained.out
    assert place.run("anomalies", "mute", number, "--reason", "a test", "--days", "3").code == 0
    assert number not in [
        str(finding["anomaly_id"]) for finding in json.loads(place.run("anomalies", "list", "--json").out)
    ]
    everything = json.loads(place.run("anomalies", "list", "--all", "--json").out)
    assert "mute: a test" in [finding["feedback"] for finding in everything]
    (muted,) = json.loads(place.run("anomalies", "mutes", "--org", "acme", "--json").out)
    assert (str(muted["anomaly_id"]), muted["reason"], muted["last_day"]) == (number, "a test", str(days_ago(-2)))
    assert "a test" in place.run("anomalies", "mutes").out
    assert place.run("anomalies", "unmute", number).code == 0
    assert place.run("anomalies", "mutes").out == "there are no active mutes\n"
    assert number in [
        str(finding["anomaly_id"]) for finding in json.loads(place.run("anomalies", "list", "--json").out)
    ]
    assert place.run("anomalies", "expected", number, "--reason", "a launch").code == 0
    assert f"these findings are: {number} (acme" in place.run("anomalies", "withdraw", "999999").err
    assert place.run("anomalies", "withdraw", number).code == 0
    assert number in [
        str(finding["anomaly_id"]) for finding in json.loads(place.run("anomalies", "list", "--json").out)
    ]


def test_feedback_needs_a_finding_and_a_reason(loaded: Loaded) -> None:
    place = loaded.place
    assert place.run("anomalies", "mute", "999999", "--reason", "x").code == 2
    assert "there is no finding 999999" in place.run("anomalies", "explain", "999999").err
    assert "finding 999999 has no active mute" in place.run("anomalies", "unmute", "999999").err
    assert place.run("anomalies", "list", "--org", "nobody").code == 2
