"""Cost rows can be found by date alone: some hundred kilobytes for fifty million rows, as days are loaded in turn."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply."""
    op.create_index("cost_rows_by_date", "cost_rows", ["usage_date"], schema="openai_costs", postgresql_using="brin")


def downgrade() -> None:
    """Take back."""
    op.drop_index("cost_rows_by_date", "cost_rows", schema="openai_costs")
