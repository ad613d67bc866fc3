"""Records that several packages share, each declared once. Plain data: no behaviour beyond names and conversion."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

Severity = Literal["low", "medium", "high"]
"""How serious a finding or an alert is."""

Trigger = Literal["schedule", "backfill", "manual"]
"""The origin of a run. ``schedule`` covers schedules, sensors and automation conditions, ``manual`` a person's runs."""

AlertKind = Literal["anomaly", "budget", "sync_failure", "test"]
"""The cause of an alert. Each channel can be limited to some kinds."""

OpenFailureKind = Literal["sync", "late_days"]
"""Whether synchronization failed or days are late."""

DirectoryKind = Literal["project", "user", "api_key"]
"""The kinds of ids whose names are stored."""

FeedbackKind = Literal["mute", "expected"]
"""Whether a person muted a series or called a finding expected."""

Direction = Literal["up", "down"]
"""Whether a finding costs more or less than expected."""

AllocationMethod = Literal["billed", "usage", "unallocated"]
"""How an amount was allocated: OpenAI billed it to the user, it follows usage, or no usage explains it."""


class LineItem(NamedTuple):
    """The classification of a line item, in the columns of the view `daily_costs`.

    `category` is the model, the tool's name where there is no model, or the label itself. `subcategory` is the kind of
    consumption, for example ``cached input``. `surface` is the product or tier that the line item was billed through.
    """

    service: str
    category: str
    subcategory: str | None = None
    model: str | None = None
    surface: str | None = None
    modality: str | None = None
    long_context: bool = False


class AllocatedCost(NamedTuple):
    """A part of a cost row that was allocated to a user and an API key, in units of its currency."""

    project_id: str | None
    user_id: str | None
    api_key_id: str | None
    line_item: str | None
    currency: str | None
    amount: Decimal | None
    method: AllocationMethod


class UserTotal(NamedTuple):
    """The amount that OpenAI billed to one user for one line item in all projects, in units of its currency."""

    user_id: str | None
    line_item: str | None
    currency: str | None
    amount: Decimal


class PricedDay(NamedTuple):
    """A line item's amount of one UTC day in US dollars, and the quantity, above zero, that it was billed for."""

    day: dt.date
    line_item: str
    quantity_unit: str | None
    amount: Decimal
    quantity: Decimal
    model: str | None
    """The model in the label, as the line item was classified when its costs were stored."""

    @property
    def unit_price(self) -> Decimal:
        """US dollars per unit of quantity."""
        return self.amount / self.quantity


NO_VALUE = "(none)"
"""The name of a series whose rows have no value in a dimension, for example costs without an API key."""

_LEVELS: Mapping[tuple[str, ...], str] = {
    (): "organization",
    ("project",): "project",
    ("model",): "model",
    ("service",): "service",
    ("project", "model"): "project and model",
    ("project", "api_key"): "api_key",
    ("user",): "user",
}
"""The label of each level at which spend is monitored, by its dimensions; stored in the column `level`."""

PRICE_LEVEL = "line item"
"""The label of the level of a changed unit price: a finding about a line item instead of a series of spend."""

SERIES_COLUMNS = ("level", "project_id", "service", "model", "api_key_id", "user_id")
"""The columns that hold a series in the tables of findings, incidents and feedback."""

_DIMENSIONS_BY_LEVEL = {label: dimensions for dimensions, label in _LEVELS.items()}


class SeriesKey(NamedTuple):
    """The key of a series of daily spend: the organization and its dimensions. An empty dimension covers all values.

    Rows that have no value in a dimension belong to the series named `NO_VALUE`.
    """

    organization: str
    project: str = ""
    model: str = ""
    service: str = ""
    api_key: str = ""
    user: str = ""

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The names of the dimensions that the series is restricted to."""
        return tuple(name for name in self._fields[1:] if getattr(self, name))

    @property
    def level(self) -> str:
        """The label of the level, as in ``project and model``; an API key is named without its project."""
        return _LEVELS.get(self.dimensions) or " and ".join(self.dimensions)

    @property
    def is_leaf(self) -> bool:
        """Whether the series is a model within a project, the finest level that covers all spend exactly once."""
        return bool(self.project and self.model)

    @property
    def names(self) -> list[str]:
        """The values of the series' dimensions in display order; dimensions without a value are left out."""
        ordered = (self.project, self.service, self.model, self.api_key, self.user)
        return [name for name in ordered if name not in {"", NO_VALUE}]

    def columns(self) -> dict[str, Any]:
        """Return the series as the columns of the tables of findings, incidents and feedback."""
        return {
            "level": self.level,
            "project_id": _column(self.project),
            "service": _column(self.service),
            "model": _column(self.model),
            "api_key_id": _column(self.api_key),
            "user_id": _column(self.user),
        }

    @classmethod
    def from_columns(cls, organization: str, columns: Mapping[str, Any]) -> SeriesKey:
        """Return the series that `columns` describes. Other columns are ignored; the organization may be among them."""
        dimensions = _DIMENSIONS_BY_LEVEL.get(columns["level"], ())
        # Columns that hold an id end in `_id`. Services and models have no ids.
        values = {name: columns[name if name in {"service", "model"} else f"{name}_id"] for name in dimensions}
        return cls(organization, **{name: value or NO_VALUE for name, value in values.items()})


def _column(value: str) -> str | None:
    return None if value in {"", NO_VALUE} else value


@dataclass
class Incident:
    """An incident: unusual days with one cause.

    `alerted_impact` is the impact in the latest alert, in US dollars without sign, and `alerted_day` is the day of that
    impact. `announced` is true if an alert about the incident was sent. `incident_id` is None until the incident is
    stored.
    """

    series: SeriesKey
    line_item: str | None
    direction: Direction
    first_day: dt.date
    last_day: dt.date
    alerted_impact: Decimal
    alerted_day: dt.date
    announced: bool
    is_open: bool = True
    incident_id: int | None = None
