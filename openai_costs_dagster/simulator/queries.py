"""What was asked: the query of a costs request, checked as strictly as the live API checks it.

A parameter that is not known is refused, never skipped: a reader that misspells one would not notice.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from openai_costs_dagster.simulator.refusals import (
    RefusalError,
    api_keys_refused,
    bad_parameter,
    lookback_exceeded,
    users_with_projects_refused,
    window_too_short,
)
from openai_costs_dagster.simulator.views import DIMENSIONS, View
from openai_costs_dagster.simulator.world import SimulatedOrganization

Query = dict[str, list[str]]

_SCALARS = ("start_time", "end_time", "bucket_width", "limit", "page")
_FILTERS = ("project_ids", "api_key_ids", "line_items")
_BUCKETS_BY_DEFAULT = 7
_MOST_BUCKETS = 180
_LATEST_TIME = 253_402_300_799  # the last second of the year 9999


@dataclass(frozen=True, slots=True)
class CostsQuery:
    """A costs request. `start_time` and `end_time` are Unix seconds; without an end it is that of today."""

    start_time: int
    end_time: int | None
    limit: int
    view: View
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

    def check_served(self, organization: SimulatedOrganization, today: date) -> None:
        """Raise RefusalError for what this organization is not served in this window."""
        earliest = today - timedelta(days=organization.lookback_days)
        if self.first_day < earliest:
            raise lookback_exceeded(earliest)
        groups = self.view.group_by
        since = organization.api_keys_from
        if "api_key_id" in groups:
            if not organization.api_keys_served:
                raise api_keys_refused(None)
            if since is not None and self.first_day < since:
                raise api_keys_refused(since)
        by_project = "project_id" in groups or self.view.project_ids is not None
        if "user_id" in groups and by_project and not self._users_with_projects(organization):
            raise users_with_projects_refused()

    def _users_with_projects(self, organization: SimulatedOrganization) -> bool:
        since = organization.users_with_projects_from
        return organization.users_with_projects_served and (since is None or self.first_day >= since)


def parse(query: Query) -> CostsQuery:
    """Read the parameters, arrays in any spelling. Raises RefusalError (400) that names the parameter."""
    _check_names(query)
    if "start_time" not in query:
        raise bad_parameter("start_time", "Missing required parameter: 'start_time'.", "missing_required_parameter")
    width = _scalar(query, "bucket_width")
    if width not in (None, "1d"):
        raise bad_parameter("bucket_width", f"Invalid value: '{width}'. Supported values are: '1d'.")
    return CostsQuery(
        start_time=_time(query, "start_time") or 0,
        end_time=_time(query, "end_time"),
        limit=_limit(query),
        view=View(_group_by(query), *(_filter(query, name) for name in _FILTERS)),
        page=_scalar(query, "page"),
    )


def _check_names(query: Query) -> None:
    arrays = {spelling for name in ("group_by", *_FILTERS) for spelling in (name, f"{name}[]")}
    for name in query:
        if name not in arrays and name not in _SCALARS:
            raise bad_parameter(name, f"Unknown parameter: '{name}'.", "unknown_parameter")


def _scalar(query: Query, name: str) -> str | None:
    values = query.get(name)
    if values is None:
        return None
    if len(values) > 1:
        raise bad_parameter(name, f"Duplicate parameter: '{name}'.", "duplicate_parameter")
    return values[0]


def _integer(query: Query, name: str) -> int | None:
    text = _scalar(query, name)
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


def _limit(query: Query) -> int:
    limit = _integer(query, "limit")
    if limit is None:
        return _BUCKETS_BY_DEFAULT
    if limit < 1:
        raise _out_of_range(f"below minimum value. Expected a value >= 1, but got {limit}", "below_min")
    if limit > _MOST_BUCKETS:
        raise _out_of_range(f"above maximum value. Expected a value <= {_MOST_BUCKETS}, but got {limit}", "above_max")
    return limit


def _out_of_range(what: str, code: str) -> RefusalError:
    return bad_parameter("limit", f"Invalid 'limit': integer {what} instead.", f"integer_{code}_value")


def _array(query: Query, name: str) -> list[str]:
    return [*query.get(name, []), *query.get(f"{name}[]", [])]


def _group_by(query: Query) -> frozenset[str]:
    groups = [group for value in _array(query, "group_by") for group in value.split(",")]
    for group in groups:
        if group not in DIMENSIONS:
            allowed = ", ".join(f"'{name}'" for name in DIMENSIONS)
            raise bad_parameter("group_by", f"Invalid value: '{group}'. Supported values are: {allowed}.")
    return frozenset(groups)


def _filter(query: Query, name: str) -> frozenset[str] | None:
    return frozenset(_array(query, name)) or None
