"""Adds the tables that `openai-costs status` reads to see whether the sensors still run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0009"
down_revision = "0008"

SCHEMA = "openai_costs"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "sensor_ticks",
        sa.Column("location", sa.Text, primary_key=True, comment="the code location in Dagster"),
        sa.Column("host", sa.Text, primary_key=True, comment="the machine or container of its code server"),
        sa.Column("sensor", sa.Text, primary_key=True),
        sa.Column("organizations", ARRAY(sa.Text), nullable=False, comment="that the sensor covers"),
        sa.Column("interval_seconds", sa.Integer, nullable=False),
        sa.Column("last_tick_at", sa.DateTime(timezone=True), nullable=False, comment="the last completed tick"),
        sa.Column("last_error", sa.Text, comment="of the last tick; null if it succeeded"),
        schema=SCHEMA,
        comment="one row per sensor and code location: when it last ran",
    )
    op.create_table(
        "dead_runs",
        sa.Column("run_id", sa.Text, primary_key=True, comment="Dagster's run"),
        sa.Column("organization", sa.Text, comment="null for a run of the assets that all organizations share"),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False, comment="when Dagster marked it as failed"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("is_retried", sa.Boolean, nullable=False, comment="whether Dagster starts the run again"),
        sa.Index("dead_runs_by_time", "ended_at"),
        schema=SCHEMA,
        comment="runs whose process died, as the run monitor found them",
    )
    op.create_table(
        "heartbeats",
        sa.Column("location", sa.Text, primary_key=True, comment="the code location in Dagster"),
        sa.Column("address", sa.Text, primary_key=True, comment="where heartbeat_url is read from; never the URL"),
        sa.Column("day", sa.Date, nullable=False, comment="the complete UTC day that is reported"),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, comment="earliest time of the next attempt"),
        sa.Column("delivered_at", sa.DateTime(timezone=True)),
        sa.Column("last_error", sa.Text),
        schema=SCHEMA,
        comment="the newest heartbeat of each code location",
    )


def downgrade() -> None:
    """Take back."""
    for table in ("heartbeats", "dead_runs", "sensor_ticks"):
        op.drop_table(table, schema=SCHEMA)
