"""Adds a BRIN index of cost rows by date. Days are loaded in order, so it needs some 100 kB for 50 million rows."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the index."""
    op.create_index("cost_rows_by_date", "cost_rows", ["usage_date"], schema="openai_costs", postgresql_using="brin")


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("cost_rows_by_date", "cost_rows", schema="openai_costs")
