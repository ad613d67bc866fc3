"""Classifies stored line items again after an upgrade of the rules in `spend/line_items.py`; sends no request."""

from __future__ import annotations

import logging

from openai_costs_dagster.spend import line_items
from openai_costs_dagster.warehouse import line_items as warehouse_line_items
from openai_costs_dagster.warehouse.database import Database

_LOG = logging.getLogger(__name__)


def reclassify(database: Database) -> int:
    """Classify the line items that were stored by older rules. Return their number. Raises a `WarehouseError`."""
    with database.connect() as connection:
        changed = warehouse_line_items.reclassify(connection, line_items.classify, line_items.RULES_VERSION)
    if changed:
        _LOG.info("%d line items were classified by the rules of this release", changed)
    return changed
