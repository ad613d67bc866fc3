"""Findings of the detector and what people said of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_SERIES = ("project_id", "service", "model", "api_key_id", "user_id")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "anomaly_findings",
        sa.Column("anomaly_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("usage_date", sa.Date(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False, comment="which of the dimensions name the series"),
        sa.Column("project_id", sa.Text(), nullable=True),
        sa.Column("service", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True, comment="or the tool, where there is no model"),
        sa.Column("api_key_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("actual", sa.Numeric(), nullable=False),
        sa.Column("expected", sa.Numeric(), nullable=False),
        sa.Column("lower", sa.Numeric(), nullable=False),
        sa.Column("upper", sa.Numeric(), nullable=False),
        sa.Column("impact", sa.Numeric(), nullable=False, comment="actual less expected"),
        sa.Column("score", sa.Numeric(), nullable=False, comment="standard deviations"),
        sa.Column("direction", sa.Text(), nullable=False, comment="up or down"),
        sa.Column("severity", sa.Text(), nullable=False, comment="low, medium or high, by impact"),
        sa.Column("reason", sa.Text(), nullable=False, comment="which test it failed"),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("worth_alerting", sa.Boolean(), nullable=False, comment="unusual and large enough, and not muted"),
        sa.Column("found_by", sa.Text(), nullable=False, comment="refresh, backfill or person, whoever found it first"),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alerted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("anomaly_id"),
        sa.UniqueConstraint(
            "organization",
            "usage_date",
            "level",
            *_SERIES,
            name="anomaly_findings_one_per_series_and_day",
            postgresql_nulls_not_distinct=True,
        ),
        schema="openai_costs",
        comment="days of series that are not like the days before them, one for each cause",
    )
    op.create_table(
        "anomaly_feedback",
        sa.Column("feedback_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="mute or expected"),
        sa.Column("level", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in _SERIES),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("feedback_id"),
        schema="openai_costs",
        comment="what people said of findings; it changes how days are judged from then on",
    )
    op.create_index(
        "anomaly_feedback_by_organization", "anomaly_feedback", ["organization", "first_day"], schema="openai_costs"
    )


def downgrade() -> None:
    """Take back."""
    op.execute("drop view if exists openai_costs.anomalies")
    op.drop_table("anomaly_feedback", schema="openai_costs")
    op.drop_table("anomaly_findings", schema="openai_costs")
