"""Line items whose rows allocation does not split by the users' totals are remembered by day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Apply."""
    column: sa.Column[list[str]] = sa.Column(
        "unsplit_line_items",
        sa.ARRAY(sa.Text),
        comment="line items whose rows are not split by the users' totals",
    )
    op.add_column("allocation_days", column, schema="openai_costs")


def downgrade() -> None:
    """Take back."""
    for view in ("user_spend", "user_totals", "unit_costs", "model_names"):
        op.execute(f"drop view if exists openai_costs.{view}")
    op.drop_column("allocation_days", "unsplit_line_items", schema="openai_costs")
