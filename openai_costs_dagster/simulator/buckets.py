"""A UTC day as a JSON bucket, whatever its results are: costs and each kind of usage share it."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from openai_costs_dagster.simulator.deviations import Deviations
from openai_costs_dagster.simulator.organization import SimulatedOrganization


class DayView(Protocol):
    """How one query sees a day. Equal views are hashed alike, so that a day may be kept under its view."""

    def identity(self) -> list[object]:
        """What the view is, for JSON; the same for equal views and no others."""

    def results(
        self, organization: SimulatedOrganization, day: date, deviations: Deviations, now: datetime
    ) -> Iterable[str]:
        """The JSON text of every row of a UTC day at `now`, an aware time."""

    def __hash__(self) -> int: ...


BucketRenderer = Callable[[SimulatedOrganization, date, DayView, Deviations, datetime], str]


def render_bucket(
    organization: SimulatedOrganization, day: date, view: DayView, deviations: Deviations, now: datetime
) -> str:
    """The JSON text of one UTC day at `now`."""
    start = datetime.combine(day, time(), UTC)
    end = start + timedelta(days=1)
    members = {
        "object": '"bucket"',
        "start_time": str(int(start.timestamp())),
        "end_time": str(int(end.timestamp())),
    }
    if deviations.undocumented_fields:
        members["start_time_iso"] = f'"{start:%Y-%m-%dT%H:%M:%S}"'
        members["end_time_iso"] = f'"{end:%Y-%m-%dT%H:%M:%S}"'
    members["results"] = f"[{', '.join(view.results(organization, day, deviations, now))}]"
    return json_object(members)


def json_object(members: Mapping[str, str]) -> str:
    """An object of members whose values are JSON text already."""
    return f"{{{', '.join(f'{json.dumps(name)}: {text}' for name, text in members.items())}}}"
