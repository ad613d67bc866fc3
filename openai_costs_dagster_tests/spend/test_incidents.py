"""Tests of incidents: an incident causes an event when it opens, when its impact doubles and when it ends."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.records import Incident, SeriesKey
from openai_costs_dagster.spend.incidents import UnusualDay, update_incidents

DAY = dt.date(2026, 2, 2)
LEAF = SeriesKey("acme", "proj_a", "gpt-5")
PROJECT = SeriesKey("acme", "proj_a")
OTHER = SeriesKey("acme", "proj_b", "gpt-5")
SERVICE = SeriesKey("acme", service="Chat completions")
WHOLE = SeriesKey("acme")


def unusual(number: int, impact: int, series: SeriesKey = LEAF, line_item: str | None = None) -> UnusualDay:
    return UnusualDay(DAY + number * ONE_DAY, series, line_item, Decimal(impact))


def update(
    known: list[Incident], found: list[UnusualDay], evaluated_to: int, may_alert: bool = True
) -> list[tuple[str, bool]]:
    """Update the incidents after a day, and return each event with True if no alert is sent for the event."""
    today = DAY + (evaluated_to + 1) * ONE_DAY
    last = DAY + evaluated_to * ONE_DAY
    events = update_incidents(known, found, today, last, lambda _: may_alert, may_end=may_alert)
    return [(event.event, event.acknowledged) for event in events]


def test_events_when_an_incident_opens_doubles_and_ends() -> None:
    known: list[Incident] = []
    found: list[UnusualDay] = []
    events = []
    for number, impact in enumerate((10, 12, 19, 24, 30, 0, 0)):
        found += [unusual(number, impact)] if impact else []
        events.append([event for event, _ in update(known, found[-4:], number)])
    assert events == [["opened"], [], [], ["grown"], [], [], ["ended"]]


def test_one_quiet_day_does_not_end_an_incident() -> None:
    known: list[Incident] = []
    assert update(known, [unusual(0, 10)], 0) == [("opened", False)]
    assert update(known, [unusual(0, 10)], 1) == []
    assert update(known, [unusual(2, 10)], 2) == []
    assert len(known) == 1


def test_unusual_day_after_the_end_opens_a_new_incident() -> None:
    known: list[Incident] = []
    assert update(known, [unusual(0, 10)], 2) == [("opened", False), ("ended", False)]
    assert update(known, [unusual(0, 10)], 2) == []
    assert update(known, [unusual(0, 10), unusual(3, 10)], 3) == [("opened", False)]
    assert update(known, [unusual(0, 10), unusual(3, 10)], 5) == [("ended", False)]


def test_total_of_the_project_continues_an_incident_and_other_series_open_one() -> None:
    known: list[Incident] = []
    assert update(known, [unusual(0, 10)], 0) == [("opened", False)]
    assert update(known, [unusual(1, 10, PROJECT)], 1) == []
    assert update(known, [unusual(1, 10, OTHER)], 1) == [("opened", False)]
    assert update(known, [unusual(1, 10, WHOLE)], 1) == [("opened", False)]
    assert update(known, [unusual(1, -10)], 1) == [("opened", False)]
    assert update(known, [unusual(1, 10, LEAF, "gpt-5, input")], 1) == [("opened", False)]


def test_overlapping_series_continues_only_on_the_next_day_with_similar_impact() -> None:
    known: list[Incident] = []
    update(known, [unusual(0, 10)], 0)
    assert update(known, [unusual(1, 12, SERVICE)], 1) == []
    assert update(known, [], 3) == [("ended", False)]
    known = []
    update(known, [unusual(0, 10)], 0)
    assert update(known, [unusual(1, 10), unusual(1, 12, SERVICE)], 1) == [("opened", False)]
    known = []
    update(known, [unusual(0, 10)], 0)
    assert update(known, [unusual(1, 30, SERVICE)], 1) == [("opened", False)]


def test_growth_of_an_unfinished_day_is_not_an_event() -> None:
    known: list[Incident] = []
    events = []
    for impact in (10, 21, 35, 49):
        grown = update_incidents(known, [unusual(0, impact)], DAY, DAY, lambda _: True, may_end=True)
        events.append([event.event for event in grown])
    assert events == [["opened"], [], [], []]
    assert update(known, [unusual(0, 49)], 0) == []
    assert update(known, [unusual(1, 97)], 1) == []
    assert update(known, [unusual(2, 98)], 2) == [("grown", False)]


def test_fivefold_growth_of_the_alerted_day_is_an_event() -> None:
    known: list[Incident] = []
    update_incidents(known, [unusual(0, 10)], DAY, DAY, lambda _: True, may_end=True)
    (event,) = update_incidents(known, [unusual(0, 50)], DAY, DAY, lambda _: True, may_end=True)
    assert event.event == "grown"


def test_incident_without_alert_is_acknowledged_and_ends_silently() -> None:
    known: list[Incident] = []
    assert update(known, [unusual(0, 10)], 0, may_alert=False) == [("opened", True)]
    assert update(known, [unusual(1, 30)], 1, may_alert=False) == [("grown", True)]
    assert update(known, [], 3) == []
    assert not known[0].is_open


def test_acknowledged_incident_that_doubles_is_alerted() -> None:
    known: list[Incident] = []
    update(known, [unusual(0, 10)], 0, may_alert=False)
    assert update(known, [unusual(1, 20)], 1) == [("grown", False)]
    assert update(known, [], 3) == [("ended", False)]


_found = st.lists(
    st.builds(
        unusual, st.integers(0, 9), st.sampled_from([-40, -9, 9, 18, 40]), st.sampled_from([LEAF, PROJECT, OTHER])
    ),
    max_size=12,
    unique_by=lambda unusual_day: (unusual_day.day, unusual_day.series),
)


@given(_found)
def test_same_unusual_days_twice_cause_no_events(found: list[UnusualDay]) -> None:
    known: list[Incident] = []
    update(known, found, 9)
    assert update(known, found, 9) == []
