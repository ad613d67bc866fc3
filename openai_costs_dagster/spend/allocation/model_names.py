"""The two names of a model: the alias, which points to the newest snapshot, and the name of a dated snapshot.

The view `openai_costs.model_names` applies the same pattern to the names in a day's usage and costs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from openai_costs_dagster.spend.line_items import classify

SNAPSHOT = r"-(\d{4}-\d{2}-\d{2}|\d{4}|\d{6}|\d{8}|v\d+)$"
"""The pattern of the suffix that a snapshot's name has after the alias, for example ``-2026-04-21``."""


def alias_of(model: str) -> str:
    """Return the alias of a snapshot. An alias is returned unchanged."""
    return re.sub(SNAPSHOT, "", model)


def label_with_alias(label: str) -> str:
    """Return the label of a line item with the alias in place of the model's snapshot name."""
    model = classify(label).model
    return label.replace(model, alias_of(model), 1) if model else label


def name_one_model(labels: Iterable[str]) -> bool:
    """Return whether labels that differ only in the model's name bill one model: at most a snapshot and its alias."""
    models = {classify(label).model for label in labels}
    return sum(model is not None and alias_of(model) != model for model in models) <= 1
