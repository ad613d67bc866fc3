"""Keeps stored line items classified by the present rules; needs no request."""

from __future__ import annotations

import logging

from openai_costs_dagster.spend import line_items
from openai_costs_dagster.warehouse import line_items as warehouse_line_items
from openai_costs_dagster.warehouse.database import Database

_LOG = logging.getLogger(__name__)


def reclassify(database: Database) -> int:
    """Classifies all stored line items anew where the rules have improved since. Raises WarehouseError."""
    with database.connect() as connection:
        changed = warehouse_line_items.reclassify(connection, line_items.classify, line_items.RULES_VERSION)
    if changed:
        _LOG.info("%d line items were classified anew", changed)
    return changed
