"""Adds the leases and row locks that replace advisory locks, which every login of the database could take."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

SCHEMA = "openai_costs"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, primary_key=True, comment="organization/NAME, dagster-tables or up"),
        sa.Column("owner", sa.Text, nullable=False, comment="purpose, process id and host of the holder"),
        sa.Column("process", sa.Text, comment="identity of the holder's process on its host; only of the lease up"),
        sa.Column("token", sa.Uuid, nullable=False, comment="new with every acquisition"),
        sa.Column("backend_pid", sa.Integer, comment="server process of the holder; the lease ends with it"),
        sa.Column("acquired_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, comment="postponed while the holder works"),
        schema=SCHEMA,
        comment="exclusive rights of processes, each until its holder releases it, ends or stops renewing it",
    )
    op.create_table(
        "locks",
        sa.Column("organization", sa.Text, primary_key=True),
        sa.Column("purpose", sa.Text, primary_key=True, comment="allocation or alerts"),
        schema=SCHEMA,
        comment="rows that a transaction locks, so that one at a time writes the tables of the purpose",
    )


def downgrade() -> None:
    """Drop both tables."""
    for table in ("locks", "leases"):
        op.drop_table(table, schema=SCHEMA)
