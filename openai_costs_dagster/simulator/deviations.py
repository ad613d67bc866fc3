"""The known deviations of the live API from its published specification."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Deviations:
    """The deviations that the simulator shows. A deviation that is false is replaced by the specified behavior."""

    # The sources of the deviations are captured responses and connectors in production use (docs/openai-api.md).
    string_amounts: bool = True
    """Amounts are JSON strings with 34 significant digits."""
    mixed_amounts: bool = True
    """About one in four rows of a page has a JSON number as amount."""
    zero_exponent: bool = True
    """An amount of zero is written as 0E-6176."""
    null_amounts: bool = True
    """A missing amount is null instead of omitted."""
    float_quantities: bool = True
    """A quantity is written as 51584.0 instead of 51584."""
    duplicate_rows: bool = True
    """Rows that differ only in api_source are separate, even if the query does not group by api_source."""
    line_item_splits_projects: bool = True
    """Grouping by line_item alone also separates projects."""
    undocumented_fields: bool = True
    """Buckets and rows have fields that the specification does not list."""
    tail_pages: bool = True
    """The last page of costs has a next page, and so has every empty page after it."""
    null_counters: bool = True
    """An optional usage counter is null instead of zero."""

    @classmethod
    def none(cls) -> "Deviations":
        """Return an API that follows the specification."""
        return cls(**{field.name: False for field in fields(cls)})
