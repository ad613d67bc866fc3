"""The known differences between the live API and its published specification."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Deviations:
    """The differences from the specification that the simulator shows.

    If a field is false, the simulator behaves as specified in this respect.
    """

    # The differences were found in captured responses and in connectors in production use (docs/openai-api.md).
    string_amounts: bool = True
    """Amounts are JSON strings with 34 significant digits."""
    mixed_amounts: bool = True
    """About one in four rows of a page has a JSON number as its amount."""
    zero_exponent: bool = True
    """An amount of zero is written as 0E-6176."""
    null_amounts: bool = True
    """A missing amount is written as null and not omitted."""
    float_quantities: bool = True
    """A whole quantity is written as a float, for example 51584.0."""
    duplicate_rows: bool = True
    """Rows that differ only in api_source are separate rows, even if the query does not group by api_source."""
    line_item_splits_projects: bool = True
    """Grouping by line_item alone also returns separate rows for each project."""
    undocumented_fields: bool = True
    """Buckets and rows have fields that the specification does not list."""
    tail_pages: bool = True
    """The last page of costs refers to a next page.

    The next page is empty and refers to a further page, without end.
    """
    null_counters: bool = True
    """An optional usage counter without a value is null instead of zero."""

    @classmethod
    def none(cls) -> "Deviations":
        """Return deviations that are all false, so that the simulator follows the specification."""
        return cls(**{field.name: False for field in fields(cls)})
