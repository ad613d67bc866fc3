"""The known departures of the live API from its published spec, each of which can be switched off."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Deviations:
    """Each is what the live API does where it is on, and what the spec says where it is off.

    `string_amounts`: amounts are JSON strings of 34 significant digits. `mixed_amounts`: about a row in four
    keeps the JSON number, in the same page. `zero_exponent`: an amount of zero is written 0E-6176.
    `null_amounts`: an amount that is not there is null instead of left out. `float_quantities`: 51584.0
    instead of 51584.
    `duplicate_rows`: rows that differ only by an api_source nobody asked for come twice.
    `line_item_splits_projects`: grouping by line_item alone splits by project as well. `undocumented_fields`:
    buckets and rows carry more than the spec lists. `tail_pages`: the last page of costs names a next one, and
    so does every empty page after it.
    `null_counters`: a usage counter that the spec does not require is null where nothing was counted.
    """

    string_amounts: bool = True
    mixed_amounts: bool = True
    zero_exponent: bool = True
    null_amounts: bool = True
    float_quantities: bool = True
    duplicate_rows: bool = True
    line_item_splits_projects: bool = True
    undocumented_fields: bool = True
    tail_pages: bool = True
    null_counters: bool = True

    @classmethod
    def none(cls) -> "Deviations":
        """An API that keeps to its spec."""
        return cls(**{field.name: False for field in fields(cls)})
