"""Tests of root causes: flagged series that rise or fall for the same reason become one finding."""

from __future__ import annotations

import itertools

from openai_costs_dagster.records import SeriesKey
from openai_costs_dagster.spend.detection.root_causes import Cause, Flag, find_root_causes, merge_by_owner

WHOLE = SeriesKey("acme")
SEARCH = SeriesKey("acme", "search")
SEARCH_GPT = SeriesKey("acme", "search", "gpt")
SEARCH_MINI = SeriesKey("acme", "search", "mini")
CHAT_GPT = SeriesKey("acme", "chat", "gpt")
GPT = SeriesKey("acme", model="gpt")
SERVICE = SeriesKey("acme", service="Chat completions")
KEY = SeriesKey("acme", "search", api_key="key_7")


def named(causes: list[Cause]) -> list[SeriesKey]:
    return [cause.flag.series for cause in causes]


def test_model_in_a_project_explains_its_totals_and_its_key() -> None:
    flags = [Flag(series, 400.0) for series in (WHOLE, SEARCH, GPT, SERVICE, KEY)] + [Flag(SEARCH_GPT, 410.0)]
    for order in itertools.islice(itertools.permutations(flags), 0, 720, 37):
        (cause,) = find_root_causes(order)
        assert cause.flag.series == SEARCH_GPT
        assert len(cause.explains) == 5


def test_two_causes_are_ranked_by_dollars() -> None:
    flags = [Flag(WHOLE, 500.0), Flag(SEARCH_GPT, 100.0), Flag(CHAT_GPT, 400.0), Flag(GPT, 500.0)]
    assert named(find_root_causes(flags)) == [CHAT_GPT, SEARCH_GPT]


def test_project_whose_models_all_rise_is_one_cause() -> None:
    flags = [Flag(SEARCH, 300.0), Flag(SEARCH_GPT, 150.0), Flag(SEARCH_MINI, 150.0), Flag(WHOLE, 310.0)]
    assert named(find_root_causes(flags)) == [SEARCH]


def test_rise_does_not_explain_a_drop() -> None:
    assert named(find_root_causes([Flag(SEARCH_GPT, -200.0), Flag(WHOLE, 300.0)])) == [WHOLE, SEARCH_GPT]


def test_small_change_does_not_explain_a_large_total() -> None:
    assert named(find_root_causes([Flag(WHOLE, 1000.0), Flag(SEARCH_GPT, 100.0)]))[0] == WHOLE


def test_key_is_the_cause_of_changes_in_several_models() -> None:
    assert named(find_root_causes([Flag(KEY, 900.0), Flag(SEARCH_GPT, 300.0), Flag(SEARCH_MINI, 280.0)])) == [KEY]
    assert set(named(find_root_causes([Flag(KEY, 300.0), Flag(SEARCH_GPT, 900.0)]))) == {SEARCH_GPT}
    assert set(named(find_root_causes([Flag(KEY, 900.0), Flag(CHAT_GPT, 300.0)]))) == {KEY, CHAT_GPT}


def test_no_flag_has_no_cause() -> None:
    assert find_root_causes([]) == []


def test_user_is_the_cause_if_no_model_explains_the_change() -> None:
    user = SeriesKey("acme", user="user-ada")
    assert named(find_root_causes([Flag(WHOLE, 90.0), Flag(user, 90.0)])) == [user]
    assert user not in named(find_root_causes([Flag(user, 290.0), Flag(SEARCH_GPT, 300.0), Flag(WHOLE, 300.0)]))


def test_minor_flag_is_not_the_cause_of_an_alerting_flag() -> None:
    small = Flag(SEARCH_GPT, 4.0, alerting=False)
    (cause,) = find_root_causes([Flag(WHOLE, 6.0), small])
    assert (cause.flag.series, cause.explains) == (WHOLE, [small])


def test_spend_without_a_key_is_attributed_to_its_project() -> None:
    without_key = SEARCH._replace(api_key="(none)")
    assert named(find_root_causes([Flag(SEARCH, -16.0), Flag(without_key, -16.0)])) == [SEARCH]
    assert named(find_root_causes([Flag(without_key, -16.0)])) == [without_key]


def test_falling_keys_of_one_owner_are_merged() -> None:
    other = SeriesKey("acme", "chat", api_key="key_8")
    apart = find_root_causes([Flag(KEY, -18.0), Flag(other, -6.0)])
    assert named(apart) == [KEY, other]
    (cause,) = merge_by_owner(apart, {"key_7": "user_1", "key_8": "user_1"})
    assert (cause.flag.series, [flag.series for flag in cause.merged]) == (KEY, [other])


def test_keys_of_other_owners_or_opposite_directions_are_not_merged() -> None:
    other = SeriesKey("acme", "chat", api_key="key_8")
    assert len(merge_by_owner(find_root_causes([Flag(KEY, -18.0), Flag(other, -6.0)]), {"key_7": "user_1"})) == 2
    owners = {"key_7": "user_1", "key_8": "user_1"}
    assert len(merge_by_owner(find_root_causes([Flag(KEY, -18.0), Flag(other, 6.0)]), owners)) == 2
