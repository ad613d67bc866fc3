"""What was asked: query parameters, checked as strictly as the live API checks them.

A parameter that is not known is refused, never skipped: a reader that misspells one would not notice.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from openai_costs_dagster.simulator.costs import DIMENSIONS, CostsView
from openai_costs_dagster.simulator.error_responses import (
    RefusalError,
    api_keys_refused,
    bad_parameter,
    lookback_exceeded,
    users_refused,
    users_with_projects_refused,
    window_too_short,
)
from openai_costs_dagster.simulator.organization import SimulatedOrganization

Query = dict[str, list[str]]

WINDOW_PARAMETERS = ("start_time", "end_time", "bucket_width", "limit", "page")

_FILTERS = ("project_ids", "api_key_ids", "line_items")
_BUCKETS_BY_DEFAULT = 7
_MOST_BUCKETS = 180
_LATEST_TIME = 253_402_300_799  # the last second of the year 9999


@dataclass(frozen=True, slots=True)
class Window:
    """What days are asked for. Times are Unix seconds; without an end it is that of today. `limit` counts days."""

    start_time: int
    end_time: int | None
    limit: int
    page: str | None

    @property
    def first_day(self) -> date:
        """The UTC day that `start_time` lies in."""
        return datetime.fromtimestamp(self.start_time, UTC).date()

    def days(self, today: date) -> list[date]:
        """Every UTC day of the window up to today, ascending. Raises RefusalError if it is inside one day."""
        day_after_today = today + timedelta(days=1)
        end = day_after_today if self.end_time is None else datetime.fromtimestamp(self.end_time, UTC).date()
        if self.end_time is not None and end <= self.first_day:
            raise window_too_short()
        count = (min(end, day_after_today) - self.first_day).days
        return [self.first_day + timedelta(days=number) for number in range(count)]

    def check_lookback(self, organization: SimulatedOrganization, today: date) -> None:
        """Raise RefusalError where the window starts before the organization's rolling year."""
        earliest = today - timedelta(days=organization.lookback_days)
        if self.first_day < earliest:
            raise lookback_exceeded(earliest)


@dataclass(frozen=True, slots=True)
class CostsQuery:
    """A costs request."""

    window: Window
    view: CostsView

    def check_served(self, organization: SimulatedOrganization, today: date) -> None:
        """Raise RefusalError for what this organization is not served in this window."""
        self.window.check_lookback(organization, today)
        groups = self.view.group_by
        since = organization.api_keys_from
        if "api_key_id" in groups:
            if not organization.api_keys_served:
                raise api_keys_refused(None)
            if since is not None and self.window.first_day < since:
                raise api_keys_refused(since)
        by_project = "project_id" in groups or self.view.project_ids is not None
        if "user_id" in groups and by_project and not self._users_with_projects(organization):
            raise users_with_projects_refused()
        if "user_id" in groups and not organization.users_served:
            raise users_refused()

    def _users_with_projects(self, organization: SimulatedOrganization) -> bool:
        since = organization.users_with_projects_from
        return organization.users_with_projects_served and (since is None or self.window.first_day >= since)


def parse_costs_query(query: Query) -> CostsQuery:
    """Read the parameters, arrays in any spelling. Raises RefusalError (400) that names the parameter."""
    check_names(query, WINDOW_PARAMETERS, ("group_by", *_FILTERS))
    window = read_window(query, _MOST_BUCKETS)
    return CostsQuery(window, CostsView(read_groups(query, DIMENSIONS), *(_filter(query, name) for name in _FILTERS)))


def check_names(query: Query, scalars: Collection[str], arrays: Iterable[str] = ()) -> None:
    """Raise RefusalError for a parameter that is neither a scalar nor an array, spelt either way."""
    spellings = {spelling for name in arrays for spelling in (name, f"{name}[]")}
    for name in query:
        if name not in spellings and name not in scalars:
            raise bad_parameter(name, f"Unknown parameter: '{name}'.", "unknown_parameter")


def read_window(query: Query, most_days: int) -> Window:
    """The window of day buckets, at most `most_days` a page. Raises RefusalError."""
    if "start_time" not in query:
        raise bad_parameter("start_time", "Missing required parameter: 'start_time'.", "missing_required_parameter")
    read_choice(query, "bucket_width", ("1d",))
    return Window(
        start_time=_time(query, "start_time") or 0,
        end_time=_time(query, "end_time"),
        limit=read_limit(query, _BUCKETS_BY_DEFAULT, most_days),
        page=read_scalar(query, "page"),
    )


def read_scalar(query: Query, name: str) -> str | None:
    """The one value of a parameter, None where it is not there. Raises RefusalError for two values."""
    values = query.get(name)
    if values is None:
        return None
    if len(values) > 1:
        raise bad_parameter(name, f"Duplicate parameter: '{name}'.", "duplicate_parameter")
    return values[0]


def read_choice(query: Query, name: str, allowed: Collection[str]) -> str | None:
    """A parameter that has few values. Raises RefusalError that lists them for any other."""
    value = read_scalar(query, name)
    if value is not None:
        check_values(name, (value,), allowed)
    return value


def read_limit(query: Query, default: int, most: int) -> int:
    """How many a page holds, 1 to `most`. Raises RefusalError."""
    limit = _integer(query, "limit")
    if limit is None:
        return default
    if limit < 1:
        raise _out_of_range(f"below minimum value. Expected a value >= 1, but got {limit}", "below_min")
    if limit > most:
        raise _out_of_range(f"above maximum value. Expected a value <= {most}, but got {limit}", "above_max")
    return limit


def read_array(query: Query, name: str) -> list[str]:
    """Every value of a parameter that may be given often, with brackets or without."""
    return [*query.get(name, []), *query.get(f"{name}[]", [])]


def read_groups(query: Query, allowed: Collection[str]) -> frozenset[str]:
    """The dimensions of `group_by`, which may also be a comma list. Raises RefusalError that lists `allowed`."""
    groups = [group for value in read_array(query, "group_by") for group in value.split(",")]
    check_values("group_by", groups, allowed)
    return frozenset(groups)


def check_values(name: str, values: Iterable[str], allowed: Collection[str]) -> None:
    """Raise RefusalError for the first value that is not allowed."""
    for value in values:
        if value not in allowed:
            listed = ", ".join(f"'{other}'" for other in allowed)
            raise bad_parameter(name, f"Invalid value: '{value}'. Supported values are: {listed}.")


def _integer(query: Query, name: str) -> int | None:
    text = read_scalar(query, name)
    if text is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise bad_parameter(name, f"Invalid type for '{name}': expected an integer.", "invalid_type")
    return int(text)


def _time(query: Query, name: str) -> int | None:
    seconds = _integer(query, name)
    if seconds is not None and not 0 <= seconds <= _LATEST_TIME:
        raise bad_parameter(name, f"Invalid '{name}': not a Unix time in seconds.")
    return seconds


def _out_of_range(what: str, code: str) -> RefusalError:
    return bad_parameter("limit", f"Invalid 'limit': integer {what} instead.", f"integer_{code}_value")


def _filter(query: Query, name: str) -> frozenset[str] | None:
    return frozenset(read_array(query, name)) or None
