"""Contract of docs/cookbook.md: the query of each question returns the correct result on the sample data."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openai_costs_dagster.warehouse.database import Connection

from ..conftest import NOW
from ..sync_setup import WIDE, total
from .queries import fetch_dicts
from .sample import BROKEN, FIRST_DAY, HOSTILE_NAME, IDLE_KEY, MISSING, RESTATED, STOPPED_KEY, UNUSUAL

DOCS = Path(__file__).resolve().parents[2] / "docs"
ENOUGH = 15

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Question:
    """A question in docs/cookbook.md with its explanation and its query."""

    title: str
    sentence: str
    query: str


def questions() -> list[Question]:
    text = (DOCS / "cookbook.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+?)\n(.*?)```sql\n(.*?)```\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(sections) == len(re.findall(r"^## ", text, re.MULTILINE))
    assert not "".join(rest for *_, rest in sections).strip()  # Each section has exactly one query.
    return [Question(title, sentence.strip(), query) for title, sentence, query, _ in sections]


ALL = questions()
every_question = pytest.mark.parametrize("question", ALL, ids=lambda question: question.title)


def query_rows(reader: Connection, beginning: str) -> Rows:
    (question,) = [candidate for candidate in ALL if candidate.title.startswith(beginning)]
    return fetch_dicts(reader, at_the_clock(question.query))


def at_the_clock(query: str) -> str:
    """Replace the current time in a query by `NOW`."""
    return query.replace("now()", f"timestamptz '{NOW.isoformat()}'")


def test_cookbook_has_enough_distinct_questions() -> None:
    assert len(ALL) >= ENOUGH
    assert len({question.title for question in ALL}) == len(ALL)


def test_page_of_views_links_to_every_question() -> None:
    text = (DOCS / "sql.md").read_text(encoding="utf-8")
    listed = re.findall(r"\[([^]]+\?)\]\(cookbook\.md#([\w-]+)\)", text)
    assert [title for title, _ in listed] == [question.title for question in ALL]
    for title, anchor in listed:
        assert anchor == re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


@every_question
def test_question_has_a_sentence_and_one_query_over_the_views(question: Question) -> None:
    assert question.title.endswith("?")
    assert question.sentence.endswith(".")
    assert question.query.count(";") == 1
    assert set(re.findall(r"\b(?:from|join) (\w+)\.", question.query)) == {"openai_costs"}
    # These functions depend on the time zone of the session.
    assert not re.search(r"current_date|current_timestamp|localtime", question.query)
    literals = re.sub(r"'[^']*'", "", question.query)
    assert literals == literals.lower()


@every_question
def test_query_of_a_question_returns_rows_with_values(question: Question, reader: Connection) -> None:
    rows = fetch_dicts(reader, at_the_clock(question.query))
    assert rows
    assert all(
        any(value is not None for value in column) for column in zip(*(row.values() for row in rows), strict=True)
    )


@every_question
def test_query_of_a_question_runs_on_an_empty_database(question: Question, connection: Connection) -> None:
    assert fetch_dicts(connection, question.query) == []


# Results of the queries


def test_month_to_date_equals_the_total(reader: Connection) -> None:
    found = query_rows(reader, "What did this month cost")
    assert summed(found, "spend") == whole(reader, NOW.date().replace(day=1), NOW.date())


def test_month_is_compared_with_the_same_days_of_last_month(reader: Connection) -> None:
    found = query_rows(reader, "How does this month compare")
    assert summed(found, "this_month") == whole(reader, dt.date(2026, 3, 1), dt.date(2026, 3, 10))
    assert summed(found, "same_days_of_last_month") == whole(reader, dt.date(2026, 2, 1), dt.date(2026, 2, 10))


def test_price_and_volume_effects_add_up_to_the_change(reader: Connection) -> None:
    found = query_rows(reader, "What moved most")
    split = [row for row in found if row["by_price"] is not None]
    assert split
    for row in split:
        assert abs(row["by_price"] + row["by_volume"] - row["change"]) < Decimal("0.00001")


def test_spend_by_user_adds_up_to_the_bill(reader: Connection) -> None:
    found = query_rows(reader, "How much did each user spend")
    assert summed(found, "spend") == whole(reader, NOW.date().replace(day=1), NOW.date())
    assert {"Ada", "(service accounts)", "(no user)"} <= {row["who"] for row in found}


def test_only_unused_keys_are_found(reader: Connection) -> None:
    found = [(row["id"], row["last_spend"]) for row in query_rows(reader, "Which API keys")]
    assert found == [(IDLE_KEY.id, None), (STOPPED_KEY.id, FIRST_DAY)]


def test_cached_tokens_show_savings(reader: Connection) -> None:
    for row in query_rows(reader, "How much input came from the cache"):
        assert 0 < row["cached_percent"] < 100
        assert row["saved"] > 0


def test_weekend_spend_is_lower(reader: Connection) -> None:
    shares = {row["project"]: row["weekend_percent"] for row in query_rows(reader, "How much is spent at weekends")}
    assert shares["Nightly batch"] == 0
    assert 0 < shares["Foundation research"] < Decimal("28.6")


def test_restated_missing_and_unusual_days_are_found(reader: Connection) -> None:
    assert {row["usage_date"] for row in query_rows(reader, "What did OpenAI restate")} >= {RESTATED}
    states = {(row["organization"], row["state"]): row for row in query_rows(reader, "Which days are missing")}
    assert states["lumen", "missing"]["first_day"] == MISSING == states["lumen", "missing"]["last_day"]
    assert states["lumen", "unreconciled"]["first_day"] == BROKEN
    assert states[HOSTILE_NAME, "provisional"]["days"] == 3
    assert {row["usage_date"] for row in query_rows(reader, "Which anomalies of the last month")} == {UNUSUAL}
    shares = {row["organization"]: row for row in query_rows(reader, "What share of the spend")}
    assert shares["lumen"]["percent"] > 1
    assert shares[HOSTILE_NAME]["percent"] == 0


def test_running_total_ends_with_the_month_so_far(reader: Connection) -> None:
    rows = [row for row in query_rows(reader, "What will this month cost") if row["organization"] == "lumen"]
    assert [row["usage_date"].day for row in rows] == list(range(1, 11))
    assert rows[-1]["running_total"] == whole(reader, dt.date(2026, 3, 1), dt.date(2026, 3, 10), "lumen")
    assert abs(rows[-1]["month_at_this_pace"] - Decimal("3.1") * rows[-1]["running_total"]) < Decimal("0.01")


def test_spend_of_last_month_is_exact(reader: Connection) -> None:
    (row,) = [row for row in query_rows(reader, "Does last month match") if row["organization"] == "lumen"]
    assert row["amount"] == whole(reader, dt.date(2026, 2, 1), dt.date(2026, 2, 28), "lumen")
    assert (row["currency"], row["days_not_settled"]) == ("usd", 2)  # One day is missing and one day is not reconciled.


def test_budget_burndown_ends_with_the_remaining_budget(reader: Connection) -> None:
    burnt = query_rows(reader, "How does the remaining amount")
    (budget,) = [
        row for row in query_rows(reader, "How much can be spent per day") if row["budget"] == burnt[-1]["budget"]
    ]
    assert burnt[-1]["left_over"] == WIDE.subtract(budget["amount_limit"], budget["spent"])
    assert budget["will_be_exceeded"]


def summed(rows: Rows, column: str) -> Decimal:
    return total({number: row[column] for number, row in enumerate(rows)})


def whole(reader: Connection, first: dt.date, last: dt.date, organization: str | None = None) -> Decimal:
    """Return the billed amount of a range of days in US dollars, of all organizations by default."""
    row = reader.execute(
        "select sum(amount) from openai_costs.daily_costs"
        " where usage_date between %s and %s and organization = coalesce(%s::text, organization)",
        [first, last, organization],
    ).fetchone()
    assert row
    assert isinstance(row[0], Decimal)
    return row[0]
