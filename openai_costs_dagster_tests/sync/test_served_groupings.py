"""Tests of served groupings: each day is stored with the finest grouping that OpenAI serves for it."""

import datetime as dt
import itertools
from collections.abc import Callable, Collection

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from openai_costs_dagster.cost_records import GROUPINGS, grouping_name
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.simulator import SimulatedOrganization
from openai_costs_dagster.simulator.queries import Query
from openai_costs_dagster.sync.outcome import Outcome

from ..conftest import Clock
from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import SyncSetup, days, small_organization

FIRST = dt.date(2025, 11, 20)
WINDOW = days(FIRST, 40)
NAMES = [grouping_name(grouping) for grouping in GROUPINGS]
FINEST, BY_KEY, BY_USER, COARSEST = NAMES


def groupings(outcome: Outcome) -> dict[dt.date, str]:
    return {day: report.grouping for day, report in outcome.stored.items()}


def finest_served(simulated: SimulatedOrganization, day: dt.date) -> str:
    """Return the finest grouping that a window from the day on is served with."""

    def is_served(served: bool, since: dt.date | None) -> bool:
        return served and (since is None or day >= since)

    keys = is_served(simulated.api_keys_served, simulated.api_keys_from)
    users = is_served(simulated.users_with_projects_served, simulated.users_with_projects_from)
    return FINEST if keys and users else BY_KEY if keys else BY_USER if users else COARSEST


_numbers = itertools.count()
_since = st.none() | st.integers(-5, 45).map(lambda number: FIRST + number * ONE_DAY)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.booleans(), keys_from=_since, users=st.booleans(), users_from=_since)
def test_every_day_has_the_finest_grouping_from_any_first_served_day(
    make_sync_setup: MakeSyncSetup, keys: bool, keys_from: dt.date | None, users: bool, users_from: dt.date | None
) -> None:
    number = next(_numbers)
    simulated = small_organization(
        organization_id=f"org-{number}",
        api_keys_served=keys,
        api_keys_from=keys_from,
        users_with_projects_served=users,
        users_with_projects_from=users_from,
    )
    setup = make_sync_setup(simulated, name=f"acme-{number}")
    outcome = setup.ingest(WINDOW)
    assert not outcome.failed
    assert groupings(outcome) == {day: finest_served(simulated, day) for day in WINDOW}
    assert setup.stored() == setup.expected(WINDOW)


def refusing_keys(setup: SyncSetup, refused: Collection[dt.date]) -> Callable[[Query], None]:
    """Return a script that refuses grouping by API key for windows that contain one of the days."""

    def script(query: Query) -> None:
        first, end = (
            dt.datetime.fromtimestamp(int(query[name][0]), dt.UTC).date() for name in ("start_time", "end_time")
        )
        setup.simulated.api_keys_served = not any(first <= day < end for day in refused)

    return script


@pytest.mark.parametrize(
    "islands",
    [
        pytest.param([(0, 4)], id="at the beginning"),
        pytest.param([(35, 40)], id="at the end"),
        pytest.param([(17, 24)], id="in the middle"),
        pytest.param([(7, 11)], id="in the first half"),
        pytest.param([(29, 30)], id="of one day in the second half"),
        pytest.param([(3, 5), (33, 36)], id="two of them"),
        pytest.param([(0, 2), (38, 40)], id="both ends"),
    ],
)
def test_only_refused_days_are_stored_with_a_coarser_grouping(
    make_sync_setup: MakeSyncSetup, islands: list[tuple[int, int]]
) -> None:
    setup = make_sync_setup(small_organization(api_keys_from=None))
    refused = {day for first, end in islands for day in WINDOW[first:end]}
    setup.simulator.script = refusing_keys(setup, refused)
    outcome = setup.ingest(WINDOW)
    assert not outcome.failed
    assert groupings(outcome) == {day: COARSEST if day in refused else BY_KEY for day in WINDOW}
    assert setup.stored() == setup.expected(WINDOW)
    assert outcome.requests <= 60


def test_refused_grouping_is_requested_again_after_a_week(make_sync_setup: MakeSyncSetup, clock: Clock) -> None:
    setup = make_sync_setup(small_organization(api_keys_served=False))
    assert set(groupings(setup.ingest(WINDOW)).values()) == {COARSEST}
    setup.simulated.api_keys_served, setup.simulated.api_keys_from = True, None
    clock.now += dt.timedelta(days=6)
    assert set(groupings(setup.ingest(WINDOW)).values()) == {COARSEST}
    clock.now += dt.timedelta(days=1)
    assert set(groupings(setup.ingest(WINDOW)).values()) == {BY_KEY}
    assert setup.query("select * from openai_costs.cost_revisions") == []
    assert setup.stored() == setup.expected(WINDOW)


def test_coarser_grouping_of_a_stored_day_is_not_a_restatement(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(small_organization(api_keys_from=None))
    assert set(groupings(setup.ingest(WINDOW)).values()) == {BY_KEY}
    setup.simulated.api_keys_served = False
    outcome = setup.ingest(WINDOW)
    assert not outcome.failed
    assert set(groupings(outcome).values()) == {COARSEST}
    assert setup.query("select * from openai_costs.cost_revisions") == []


def test_year_with_unknown_first_served_days_takes_at_most_forty_requests(make_sync_setup: MakeSyncSetup) -> None:
    simulated = small_organization(
        api_keys_from=dt.date(2025, 9, 17),
        users_with_projects_served=True,
        users_with_projects_from=dt.date(2026, 1, 14),
    )
    setup = make_sync_setup(simulated)
    outcome = setup.ingest(setup.year)
    assert groupings(outcome) == {day: finest_served(simulated, day) for day in setup.year}
    assert outcome.requests <= 40
    assert setup.ingest(setup.year).requests <= 12
