"""Usage, names, each user's own totals, and what was shared out to whom."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

_SERIES = ("project_id", "service", "model", "api_key_id", "user_id")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    _usage()
    _names()
    _allocation()
    _prices()


def _usage() -> None:
    op.create_table(
        "usage_days",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("usage_date", sa.Date(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("fetched_at", _MOMENT, nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("grouping", sa.Text(), nullable=False, comment="the groups that were served"),
        sa.PrimaryKeyConstraint("organization", "usage_date", "operation"),
        schema="openai_costs",
        comment="one row for every stored day of a usage endpoint",
    )
    op.create_table(
        "usage_rows",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("usage_date", sa.Date(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("api_key_id", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("groups", JSONB(), nullable=False, comment="the endpoint's other groups"),
        sa.Column("counters", JSONB(), nullable=False),
        schema="openai_costs",
        comment="what was counted; never money",
    )
    op.create_index(
        "usage_rows_by_day", "usage_rows", ["organization", "usage_date", "operation"], schema="openai_costs"
    )
    op.create_table(
        "absences",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False, comment="an endpoint's address"),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("seen_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("organization", "what"),
        schema="openai_costs",
        comment="what the server did not serve, so that the next run need not ask",
    )


def _names() -> None:
    op.create_table(
        "directory_entries",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="project, user or api_key"),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=True, comment="of an API key"),
        sa.Column("owner_id", sa.Text(), nullable=True, comment="of an API key: a user or a service account"),
        sa.Column("status", sa.Text(), nullable=True, comment="active, archived or gone"),
        sa.Column("seen_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("organization", "kind", "id"),
        schema="openai_costs",
    )
    op.create_table(
        "known_names",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="project, user or api_key"),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("first_seen_at", _MOMENT, nullable=False),
        sa.Column("last_seen_at", _MOMENT, nullable=False),
        sa.UniqueConstraint(
            "organization", "kind", "id", "name", "email", name="known_names_once", postgresql_nulls_not_distinct=True
        ),
        schema="openai_costs",
        comment="every name that was ever seen; the one seen last is the present one",
    )
    op.create_table(
        "forgotten_users",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("forgotten_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
        schema="openai_costs",
        comment="whose name and address are kept no more, in any organization",
    )


def _allocation() -> None:
    op.create_table(
        "user_cost_days",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("usage_date", sa.Date(), nullable=False),
        sa.Column("fetched_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("organization", "usage_date"),
        schema="openai_costs",
        comment="days of which each user's own totals are known, where costs came without users",
    )
    op.create_table(
        "user_costs",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("usage_date", sa.Date(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("line_item", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("amount", sa.Numeric(), nullable=False),
        schema="openai_costs",
        comment="costs by user and line item: serves allocation alone and is never added to costs",
    )
    op.create_index("user_costs_by_day", "user_costs", ["organization", "usage_date"], schema="openai_costs")
    op.create_table(
        "allocations",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("usage_date", sa.Date(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("api_key_id", sa.Text(), nullable=True),
        sa.Column("line_item", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("amount", sa.Numeric(), nullable=True),
        sa.Column("method", sa.Text(), nullable=False, comment="billed, usage or unallocated"),
        schema="openai_costs",
        comment="cost rows shared out to users and keys; the shares of a row add up to it",
    )
    op.create_index("allocations_by_day", "allocations", ["organization", "usage_date"], schema="openai_costs")
    op.create_table(
        "allocation_days",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("usage_date", sa.Date(), nullable=False),
        sa.Column("reading_id", sa.BigInteger(), nullable=False, comment="the reading of costs that was shared out"),
        sa.Column("allocated_at", _MOMENT, nullable=False),
        sa.Column("gross_usd", sa.Numeric(), nullable=False, comment="of all shares, without their signs"),
        sa.Column("to_users_usd", sa.Numeric(), nullable=False, comment="of those with a user"),
        sa.Column("to_keys_usd", sa.Numeric(), nullable=False, comment="of those with an API key"),
        sa.PrimaryKeyConstraint("organization", "usage_date"),
        schema="openai_costs",
    )


def _prices() -> None:
    comment = "of a changed unit price"
    for table in ("anomaly_findings", "anomaly_feedback"):
        op.add_column(table, sa.Column("line_item", sa.Text(), nullable=True, comment=comment), schema="openai_costs")
    _one_finding_per(*_SERIES, "line_item")


def _one_finding_per(*series: str) -> None:
    name = "anomaly_findings_one_per_series_and_day"
    op.drop_constraint(name, "anomaly_findings", schema="openai_costs")
    op.create_unique_constraint(
        name,
        "anomaly_findings",
        ["organization", "usage_date", "level", *series],
        schema="openai_costs",
        postgresql_nulls_not_distinct=True,
    )


def downgrade() -> None:
    """Take back."""
    op.execute("drop view if exists openai_costs.anomalies")
    op.execute("delete from openai_costs.anomaly_findings where line_item is not null")
    _one_finding_per(*_SERIES)
    for table in ("anomaly_findings", "anomaly_feedback"):
        op.drop_column(table, "line_item", schema="openai_costs")
    for view in ("focus", "allocated_costs", "daily_usage", "unit_costs", "unit_prices", "directory"):
        op.execute(f"drop view if exists openai_costs.{view}")
    for table in (
        "allocation_days",
        "allocations",
        "user_costs",
        "user_cost_days",
        "forgotten_users",
        "known_names",
        "directory_entries",
        "absences",
        "usage_rows",
        "usage_days",
    ):
        op.drop_table(table, schema="openai_costs")
