"""Parses usage queries, and computes the rows of a day by filtering, grouping and counting its facts.

A row is one combination of values of the grouped dimensions. Combinations without any count have no row.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from openai_costs_dagster.simulator.buckets import json_object
from openai_costs_dagster.simulator.deviations import Deviations
from openai_costs_dagster.simulator.facts import Fact
from openai_costs_dagster.simulator.organization import SimulatedOrganization
from openai_costs_dagster.simulator.queries import (
    WINDOW_PARAMETERS,
    Query,
    Window,
    check_names,
    check_values,
    read_array,
    read_choice,
    read_groups,
    read_window,
)
from openai_costs_dagster.simulator.usage_endpoints import (
    FILTER_VALUES,
    NEWER,
    Counts,
    UsageEndpoint,
    Value,
    dimension,
    is_counted_by,
)

# The maximum of `limit` for usage by day in the specification. For costs, the maximum is 180.
_MAX_BUCKETS = 31


@dataclass(frozen=True, slots=True)
class UsageView:
    """The filters and the grouping of a usage query. `filters` are pairs of a dimension and its allowed values."""

    endpoint: UsageEndpoint
    group_by: frozenset[str] = frozenset()
    filters: tuple[tuple[str, frozenset[Value]], ...] = ()

    def matches(self, fact: Fact) -> bool:
        """Return whether the endpoint counts the fact and the fact passes all filters."""
        return is_counted_by(fact, self.endpoint.name) and all(
            dimension(fact, name) in values for name, values in self.filters
        )

    def identity(self) -> list[object]:
        """Return a JSON-serializable value that is equal for two views only if the views are equal."""
        filters = [[name, sorted(map(str, values))] for name, values in self.filters]
        return [self.endpoint.name, sorted(self.group_by), filters]

    def results(
        self, organization: SimulatedOrganization, day: date, deviations: Deviations, now: datetime
    ) -> list[str]:
        """Return the JSON text of every row of a UTC day at the time `now`, which must have a time zone."""
        rows = aggregate_usage(organization.usage_facts_until(day, now), self)
        return [_row_text(self, dimensions, counts, deviations) for dimensions, counts in rows]


def parse_usage_query(endpoint: UsageEndpoint, query: Query) -> tuple[Window, UsageView]:
    """Parse the parameters of a usage request. Raises `RefusalError` (400) with the name of an invalid parameter."""
    arrays = [name for name in endpoint.filters.values() if name != "batch"]
    scalars = (*WINDOW_PARAMETERS, "batch") if "batch" in endpoint.dimensions else WINDOW_PARAMETERS
    check_names(query, scalars, ("group_by", *arrays))
    filters = ((name, _filter(query, parameter)) for name, parameter in endpoint.filters.items())
    active = tuple((name, values) for name, values in filters if values)
    return read_window(query, _MAX_BUCKETS), UsageView(endpoint, read_groups(query, endpoint.dimensions), active)


def aggregate_usage(facts: Iterable[Fact], view: UsageView) -> list[tuple[dict[str, Value], Counts]]:
    """Return the dimensions and the counters of each row of a day, in the order in which their facts first occur."""
    group_names = [name for name in view.endpoint.dimensions if name in view.group_by]
    rows: dict[tuple[Value, ...], Counts] = {}
    for fact in facts:
        if view.matches(fact):
            row = rows.setdefault(tuple(dimension(fact, name) for name in group_names), {})
            for counter, number in view.endpoint.counts(fact).items():
                row[counter] = row.get(counter, 0) + number
    return [(dict(zip(group_names, key, strict=True)), row) for key, row in rows.items() if any(row.values())]


def _filter(query: Query, parameter: str) -> frozenset[Value]:
    """Return the values that a filter allows, which may be separated by commas.

    The result is empty if the query does not contain the filter.
    """
    if parameter == "batch":
        batch = read_choice(query, "batch", ("true", "false"))
        return frozenset() if batch is None else frozenset({batch == "true"})
    values = [value for text in read_array(query, parameter) for value in text.split(",")]
    if parameter in FILTER_VALUES:
        check_values(parameter, values, FILTER_VALUES[parameter])
    return frozenset(values)


def _row_text(view: UsageView, dimensions: dict[str, Value], counts: Counts, deviations: Deviations) -> str:
    members = {"object": json.dumps(view.endpoint.result)}
    members.update({name: str(counts.get(name, 0)) for name in view.endpoint.counters})
    for name in view.endpoint.optional:
        number = counts.get(name, 0)
        members[name] = "null" if deviations.null_counters and not number else str(number)
    members.update({name: json.dumps(dimensions.get(name)) for name in view.endpoint.dimensions})
    # To follow the published specification, fields of newer SDKs are left out, except those by which the query groups.
    shown = members.keys() if deviations.undocumented_fields else members.keys() - (NEWER - view.group_by)
    return json_object({name: text for name, text in members.items() if name in shown})
