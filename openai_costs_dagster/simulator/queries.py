"""Parses query parameters and checks them as strictly as the live API.

An unknown parameter is an error, because nobody would otherwise notice that a client has misspelled a parameter.
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
# The default and the maximum of `limit` for costs in the specification. The limit counts days and not rows.
_DEFAULT_BUCKETS = 7
_MAX_BUCKETS = 180
_LATEST_TIME = 253_402_300_799  # The last second of the year 9999, because Python's dates support no later year.


@dataclass(frozen=True, slots=True)
class Window:
    """The requested period. Times are Unix seconds.

    The end is by default the end of the current day. `limit` is the number of days per page.
    """

    start_time: int
    end_time: int | None
    limit: int
    page: str | None

    @property
    def first_day(self) -> date:
        """The UTC day that contains `start_time`."""
        return datetime.fromtimestamp(self.start_time, UTC).date()

    def days(self, today: date) -> list[date]:
        """Return all UTC days of the requested period up to the current day, in order.

        Raises `RefusalError` if the period begins and ends on the same day.
        """
        day_after_today = today + timedelta(days=1)
        end = day_after_today if self.end_time is None else datetime.fromtimestamp(self.end_time, UTC).date()
        if self.end_time is not None and end <= self.first_day:
            raise window_too_short()
        # Days after the current day have no bucket, although the requested period may contain them.
        count = (min(end, day_after_today) - self.first_day).days
        return [self.first_day + timedelta(days=number) for number in range(count)]

    def check_lookback(self, organization: SimulatedOrganization, today: date) -> None:
        """Raise `RefusalError` if the requested period begins before the earliest day that the organization can
        request.
        """
        earliest = today - timedelta(days=organization.lookback_days)
        if self.first_day < earliest:
            raise lookback_exceeded(earliest)


@dataclass(frozen=True, slots=True)
class CostsQuery:
    """The parameters of a costs request."""

    window: Window
    view: CostsView

    def check_served(self, organization: SimulatedOrganization, today: date) -> None:
        """Raise `RefusalError` if the API does not offer the requested grouping or filter to the organization."""
        self.window.check_lookback(organization, today)
        groups = self.view.group_by
        since = organization.api_keys_from
        if "api_key_id" in groups:
            if not organization.api_keys_served:
                raise api_keys_refused(None)
            if since is not None and self.window.first_day < since:
                raise api_keys_refused(since)
        # According to OpenAI's SDK, grouping by users is refused together with the filter `project_ids`, as together
        # with grouping by projects.
        by_project = "project_id" in groups or self.view.project_ids is not None
        if "user_id" in groups and by_project and not self._users_with_projects(organization):
            raise users_with_projects_refused()
        if "user_id" in groups and not organization.users_served:
            raise users_refused()

    def _users_with_projects(self, organization: SimulatedOrganization) -> bool:
        since = organization.users_with_projects_from
        return organization.users_with_projects_served and (since is None or self.window.first_day >= since)


def parse_costs_query(query: Query) -> CostsQuery:
    """Parse the parameters of a costs request. Raises `RefusalError` (400) with the name of an invalid parameter."""
    check_names(query, WINDOW_PARAMETERS, ("group_by", *_FILTERS))
    window = read_window(query, _MAX_BUCKETS)
    return CostsQuery(window, CostsView(read_groups(query, DIMENSIONS), *(_filter(query, name) for name in _FILTERS)))


def check_names(query: Query, scalars: Collection[str], arrays: Iterable[str] = ()) -> None:
    """Raise `RefusalError` for an unknown parameter. The names of arrays may end with brackets."""
    spellings = {spelling for name in arrays for spelling in (name, f"{name}[]")}
    for name in query:
        if name not in spellings and name not in scalars:
            raise bad_parameter(name, f"Unknown parameter: '{name}'.", "unknown_parameter")


def read_window(query: Query, max_days: int) -> Window:
    """Return the requested period, with at most `max_days` days per page.

    Raises `RefusalError` if a parameter of the period is missing or invalid.
    """
    if "start_time" not in query:
        raise bad_parameter("start_time", "Missing required parameter: 'start_time'.", "missing_required_parameter")
    read_choice(query, "bucket_width", ("1d",))
    return Window(
        # The parameter is required, so its value is never None. "or 0" only satisfies the type checker.
        start_time=_time(query, "start_time") or 0,
        end_time=_time(query, "end_time"),
        limit=read_limit(query, _DEFAULT_BUCKETS, max_days),
        page=read_scalar(query, "page"),
    )


def read_scalar(query: Query, name: str) -> str | None:
    """Return the value of a parameter, or None if the parameter is missing.

    Raises `RefusalError` if the parameter occurs more than once.
    """
    values = query.get(name)
    if values is None:
        return None
    if len(values) > 1:
        raise bad_parameter(name, f"Duplicate parameter: '{name}'.", "duplicate_parameter")
    return values[0]


def read_choice(query: Query, name: str, allowed: Collection[str]) -> str | None:
    """Return the value of a parameter, or None if the parameter is missing.

    Raises `RefusalError` if `allowed` does not contain the value.
    """
    value = read_scalar(query, name)
    if value is not None:
        check_values(name, (value,), allowed)
    return value


def read_limit(query: Query, default: int, maximum: int) -> int:
    """Return the requested page size. Raises `RefusalError` if it is not a number from 1 to `maximum`."""
    limit = _integer(query, "limit")
    if limit is None:
        return default
    if limit < 1:
        raise _out_of_range(f"below minimum value. Expected a value >= 1, but got {limit}", "below_min")
    if limit > maximum:
        raise _out_of_range(f"above maximum value. Expected a value <= {maximum}, but got {limit}", "above_max")
    return limit


def read_array(query: Query, name: str) -> list[str]:
    """Return all values of an array parameter, whose name may end with brackets."""
    return [*query.get(name, []), *query.get(f"{name}[]", [])]


def read_groups(query: Query, allowed: Collection[str]) -> frozenset[str]:
    """Return the dimensions of the parameter `group_by`, which may be separated by commas.

    Raises `RefusalError` for a dimension that is not in `allowed`.
    """
    # Clients in production use write arrays with brackets, without brackets, or with values separated by commas.
    groups = [group for value in read_array(query, "group_by") for group in value.split(",")]
    check_values("group_by", groups, allowed)
    return frozenset(groups)


def check_values(name: str, values: Iterable[str], allowed: Collection[str]) -> None:
    """Raise `RefusalError` for the first value that is not in `allowed`. The message lists the allowed values."""
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
