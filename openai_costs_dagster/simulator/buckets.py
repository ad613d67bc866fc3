"""Renders one UTC day as a JSON bucket, the format that costs and all usage endpoints have in common."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from openai_costs_dagster.simulator.deviations import Deviations
from openai_costs_dagster.simulator.organization import SimulatedOrganization


class DayView(Protocol):
    """A query for costs or usage that can be applied to one day: its filters, its grouping and the format of its rows.

    Views are hashable, so that a cache can use them as part of a key.
    """

    def identity(self) -> list[object]:
        """Return a JSON-serializable value that is equal for two views only if the views are equal."""

    def results(
        self, organization: SimulatedOrganization, day: date, deviations: Deviations, now: datetime
    ) -> Iterable[str]:
        """Return the JSON text of every row of a UTC day at the time `now`, which must have a time zone."""

    def __hash__(self) -> int: ...


BucketRenderer = Callable[[SimulatedOrganization, date, DayView, Deviations, datetime], str]


def render_bucket(
    organization: SimulatedOrganization, day: date, view: DayView, deviations: Deviations, now: datetime
) -> str:
    """Return the JSON text of the bucket of one UTC day, as the API would return it at the time `now`."""
    start = datetime.combine(day, time(), UTC)
    end = start + timedelta(days=1)
    members = {
        "object": '"bucket"',
        "start_time": str(int(start.timestamp())),
        "end_time": str(int(end.timestamp())),
    }
    if deviations.undocumented_fields:
        # Captured responses of the live API also contain times in ISO format, which the specification does not list.
        members["start_time_iso"] = f'"{start:%Y-%m-%dT%H:%M:%S}"'
        members["end_time_iso"] = f'"{end:%Y-%m-%dT%H:%M:%S}"'
    members["results"] = f"[{', '.join(view.results(organization, day, deviations, now))}]"
    return json_object(members)


def json_object(members: Mapping[str, str]) -> str:
    """Return the JSON text of an object whose values are already JSON text."""
    # The values are JSON text already. `json.dumps` has no exact form for Decimal, and a float would lose digits.
    return f"{{{', '.join(f'{json.dumps(name)}: {text}' for name, text in members.items())}}}"
