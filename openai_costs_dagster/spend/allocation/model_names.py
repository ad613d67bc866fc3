"""The two names of a model: its alias, which moves on to newer snapshots, and the name of a dated snapshot.

The view `openai_costs.model_names` applies the same pattern to the names in usage and on the bill of a day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from openai_costs_dagster.spend.line_items import classify

SNAPSHOT = r"-(\d{4}-\d{2}-\d{2}|\d{4}|\d{6}|\d{8}|v\d+)$"
"""How the name of a snapshot ends, after the alias."""


def alias_of(model: str) -> str:
    """The alias of a snapshot; an alias itself is returned as it is."""
    return re.sub(SNAPSHOT, "", model)


def label_with_alias(label: str) -> str:
    """A line item with its model's alias in place of the snapshot."""
    model = classify(label).model
    return label.replace(model, alias_of(model), 1) if model else label


def name_one_model(labels: Iterable[str]) -> bool:
    """Whether line items that are alike but for their model's name bill one model: one snapshot and its alias."""
    models = {classify(label).model for label in labels}
    return sum(model is not None and alias_of(model) != model for model in models) <= 1
