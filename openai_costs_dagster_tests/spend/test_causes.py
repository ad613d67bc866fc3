"""One finding per cause, the largest first, whatever the order."""

from __future__ import annotations

import itertools

from openai_costs_dagster.spend.detection.causes import Cause, Flag, causes_of
from openai_costs_dagster.spend.detection.panel import Series

WHOLE = Series("acme")
SEARCH = Series("acme", "search")
SEARCH_GPT = Series("acme", "search", "gpt")
SEARCH_MINI = Series("acme", "search", "mini")
CHAT_GPT = Series("acme", "chat", "gpt")
GPT = Series("acme", model="gpt")
SERVICE = Series("acme", service="Chat completions")
KEY = Series("acme", "search", api_key="key_7")


def named(causes: list[Cause]) -> list[Series]:
    return [cause.flag.series for cause in causes]


def test_a_model_that_explodes_explains_all_above_it_and_its_key() -> None:
    flags = [Flag(one, 400.0) for one in (WHOLE, SEARCH, GPT, SERVICE, KEY)] + [Flag(SEARCH_GPT, 410.0)]
    for order in itertools.islice(itertools.permutations(flags), 0, 720, 37):
        (cause,) = causes_of(order)
        assert cause.flag.series == SEARCH_GPT
        assert len(cause.explains) == 5


def test_two_causes_are_two_findings_ranked_by_dollars() -> None:
    flags = [Flag(WHOLE, 500.0), Flag(SEARCH_GPT, 100.0), Flag(CHAT_GPT, 400.0), Flag(GPT, 500.0)]
    assert named(causes_of(flags)) == [CHAT_GPT, SEARCH_GPT]


def test_a_project_whose_models_all_rose_is_one_finding() -> None:
    flags = [Flag(SEARCH, 300.0), Flag(SEARCH_GPT, 150.0), Flag(SEARCH_MINI, 150.0), Flag(WHOLE, 310.0)]
    assert named(causes_of(flags)) == [SEARCH]


def test_a_rise_does_not_explain_a_drop() -> None:
    assert named(causes_of([Flag(SEARCH_GPT, -200.0), Flag(WHOLE, 300.0)])) == [WHOLE, SEARCH_GPT]


def test_a_small_cause_does_not_explain_a_large_total() -> None:
    assert named(causes_of([Flag(WHOLE, 1000.0), Flag(SEARCH_GPT, 100.0)]))[0] == WHOLE


def test_a_key_that_spent_more_on_several_models_is_the_cause() -> None:
    assert named(causes_of([Flag(KEY, 900.0), Flag(SEARCH_GPT, 300.0), Flag(SEARCH_MINI, 280.0)])) == [KEY]
    assert set(named(causes_of([Flag(KEY, 300.0), Flag(SEARCH_GPT, 900.0)]))) == {SEARCH_GPT}
    assert set(named(causes_of([Flag(KEY, 900.0), Flag(CHAT_GPT, 300.0)]))) == {KEY, CHAT_GPT}


def test_nothing_flagged_is_no_cause() -> None:
    assert causes_of([]) == []


def test_a_user_is_the_cause_where_nothing_that_they_used_stands_out() -> None:
    user = Series("acme", user="user-ada")
    assert named(causes_of([Flag(WHOLE, 90.0), Flag(user, 90.0)])) == [user]
    assert user not in named(causes_of([Flag(user, 290.0), Flag(SEARCH_GPT, 300.0), Flag(WHOLE, 300.0)]))
