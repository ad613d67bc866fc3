"""An anomaly that goes on is told once, again when it doubles, and when it is over."""

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
    """IncidentEvent at the end of a day: what is found is of days up to it."""
    today = DAY + (evaluated_to + 1) * ONE_DAY
    news = update_incidents(known, found, today, DAY + evaluated_to * ONE_DAY, lambda _: may_alert, may_end=may_alert)
    return [(one.event, one.acknowledged) for one in news]


def test_an_anomaly_of_many_days_is_told_when_it_begins_doubles_and_ends() -> None:
    known: list[Incident] = []
    found: list[UnusualDay] = []
    heard = []
    for number, impact in enumerate((10, 12, 19, 24, 30, 0, 0)):
        found += [unusual(number, impact)] if impact else []
        heard.append([event for event, _ in update(known, found[-4:], number)])
    assert heard == [["opened"], [], [], ["grown"], [], [], ["ended"]]


def test_a_quiet_day_in_between_is_no_end_and_no_new_beginning() -> None:
    known: list[Incident] = []
    assert update(known, [unusual(0, 10)], 0) == [("opened", False)]
    assert update(known, [unusual(0, 10)], 1) == []
    assert update(known, [unusual(2, 10)], 2) == []
    assert len(known) == 1


def test_after_its_end_what_is_found_is_new_and_what_was_found_is_not() -> None:
    known: list[Incident] = []
    assert update(known, [unusual(0, 10)], 2) == [("opened", False), ("ended", False)]
    assert update(known, [unusual(0, 10)], 2) == []
    assert update(known, [unusual(0, 10), unusual(3, 10)], 3) == [("opened", False)]
    assert update(known, [unusual(0, 10), unusual(3, 10)], 5) == [("ended", False)]


def test_a_cause_that_is_named_coarser_or_finer_is_the_same_and_another_project_is_not() -> None:
    known: list[Incident] = []
    assert update(known, [unusual(0, 10)], 0) == [("opened", False)]
    assert update(known, [unusual(1, 10, PROJECT)], 1) == []
    assert update(known, [unusual(1, 10, OTHER)], 1) == [("opened", False)]
    assert update(known, [unusual(1, 10, WHOLE)], 1) == [("opened", False)]
    assert update(known, [unusual(1, -10)], 1) == [("opened", False)]
    assert update(known, [unusual(1, 10, LEAF, "gpt-5, input")], 1) == [("opened", False)]


def test_a_service_that_is_off_as_much_the_day_after_is_the_same_cause_and_beside_it_is_another() -> None:
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


def test_a_day_that_grows_while_it_lasts_is_told_once() -> None:
    known: list[Incident] = []
    heard = []
    for impact in (10, 21, 35, 49):
        news = update_incidents(known, [unusual(0, impact)], DAY, DAY, lambda _: True, may_end=True)
        heard.append([one.event for one in news])
    assert heard == [["opened"], [], [], []]
    assert update(known, [unusual(0, 49)], 0) == []
    assert update(known, [unusual(1, 97)], 1) == []
    assert update(known, [unusual(2, 98)], 2) == [("grown", False)]


def test_a_day_that_explodes_after_it_was_told_is_news() -> None:
    known: list[Incident] = []
    update_incidents(known, [unusual(0, 10)], DAY, DAY, lambda _: True, may_end=True)
    (news,) = update_incidents(known, [unusual(0, 50)], DAY, DAY, lambda _: True, may_end=True)
    assert news.event == "grown"


def test_what_is_found_without_a_refresh_is_seen_and_its_end_is_not_told() -> None:
    known: list[Incident] = []
    assert update(known, [unusual(0, 10)], 0, may_alert=False) == [("opened", True)]
    assert update(known, [unusual(1, 30)], 1, may_alert=False) == [("grown", True)]
    assert update(known, [], 3) == []
    assert not known[0].is_open


def test_what_was_seen_and_doubles_is_told_and_so_is_its_end() -> None:
    known: list[Incident] = []
    update(known, [unusual(0, 10)], 0, may_alert=False)
    assert update(known, [unusual(1, 20)], 1) == [("grown", False)]
    assert update(known, [], 3) == [("ended", False)]


_found = st.lists(
    st.builds(
        unusual, st.integers(0, 9), st.sampled_from([-40, -9, 9, 18, 40]), st.sampled_from([LEAF, PROJECT, OTHER])
    ),
    max_size=12,
    unique_by=lambda one: (one.day, one.series),
)


@given(_found)
def test_the_same_days_read_again_are_never_news(found: list[UnusualDay]) -> None:
    known: list[Incident] = []
    update(known, found, 9)
    assert update(known, found, 9) == []
