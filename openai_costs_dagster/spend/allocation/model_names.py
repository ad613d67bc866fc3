"""The two names of a model: an alias, such as gpt-5.5, and the dated snapshot to which the alias points.

The view `openai_costs.model_names` applies the same pattern to the names in a day's usage and costs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

SNAPSHOT = r"-(\d{4}-\d{2}-\d{2}|\d{4}|\d{6}|\d{8}|v\d+)$"
"""The pattern of the suffix that a snapshot's name has after the alias, for example ``-2026-04-21``."""


def alias_of(model: str) -> str:
    """Return the alias of a snapshot. An alias is returned unchanged."""
    return re.sub(SNAPSHOT, "", model)


def label_with_alias(label: str, model: str | None) -> str:
    """Return the label of a line item with the alias in place of the snapshot name of its model."""
    return label.replace(model, alias_of(model), 1) if model else label


def name_one_model(names: Iterable[str | None]) -> bool:
    """Return whether model names with the same alias belong to one model: at most one of them names a snapshot."""
    models = set(names)
    return sum(model is not None and alias_of(model) != model for model in models) <= 1
