"""Classifies stored line items again if a new release has changed the classification rules in `spend/line_items.py`.

No request is sent to OpenAI, because the rules need only the stored text of a line item.
"""

from __future__ import annotations

import logging

from openai_costs_dagster.spend import line_items
from openai_costs_dagster.warehouse import line_items as warehouse_line_items
from openai_costs_dagster.warehouse.database import Database

_LOG = logging.getLogger(__name__)


def reclassify(database: Database) -> int:
    """Classify all line items that an older release classified by older rules, and return the number of line items.

    Raises a `WarehouseError` if the database fails.
    """
    with database.connect() as connection:
        changed = warehouse_line_items.reclassify(connection, line_items.classify, line_items.RULES_VERSION)
    if changed:
        _LOG.info("%d line items were classified by the rules of this release", changed)
    return changed
