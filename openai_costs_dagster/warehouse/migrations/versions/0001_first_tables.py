"""The first tables: organizations, their days, rows, revisions, raw buckets and what is remembered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "cost_days",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("usage_date", sa.Date(), nullable=False),
        sa.Column("reading_id", sa.BigInteger(), nullable=False),
        sa.Column("grouping", sa.Text(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("received_count", sa.Integer(), nullable=False, comment="before rows of one key were added up"),
        sa.Column("absent_amounts", sa.Integer(), nullable=False),
        sa.Column("amount_usd", sa.Numeric(), nullable=False),
        sa.Column("reconciled", sa.Boolean(), nullable=True, comment="null where no second answer could be had"),
        sa.Column(
            "reconcile_difference",
            sa.Numeric(),
            nullable=True,
            comment="grouped less ungrouped, of the currency that differs most",
        ),
        sa.PrimaryKeyConstraint("organization", "usage_date"),
        schema="openai_costs",
        comment="one row for every stored organization-day; the unit of change",
    )
    op.create_table(
        "cost_rows",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("usage_date", sa.Date(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("api_key_id", sa.Text(), nullable=True),
        sa.Column("line_item", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("quantity_unit", sa.Text(), nullable=True),
        sa.Column("amount", sa.Numeric(), nullable=True),
        sa.Column("quantity", sa.Numeric(), nullable=True),
        schema="openai_costs",
        comment="one row per key; unique by construction: a day is added up, then replaced whole",
    )
    op.create_index(
        "cost_rows_by_day", "cost_rows", ["organization", "usage_date"], unique=False, schema="openai_costs"
    )
    op.create_table(
        "line_items",
        sa.Column("line_item", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("subcategory", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("surface", sa.Text(), nullable=True),
        sa.Column("modality", sa.Text(), nullable=True),
        sa.Column("long_context", sa.Boolean(), nullable=False),
        sa.Column("rules_version", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("line_item"),
        schema="openai_costs",
    )
    op.create_table(
        "organizations",
        sa.Column("organization", sa.Text(), nullable=False, comment="the configured name"),
        sa.Column(
            "openai_organization_id",
            sa.Text(),
            nullable=True,
            comment="learned from the configuration or an answer",
        ),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("start_date", sa.Date(), nullable=True, comment="as configured"),
        sa.Column(
            "earliest_day",
            sa.Date(),
            nullable=True,
            comment="the earliest day that the API served on first contact, kept for ever",
        ),
        sa.Column("first_contact_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_error_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error_is_permanent", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("organization"),
        sa.UniqueConstraint("openai_organization_id"),
        schema="openai_costs",
    )
    op.create_table(
        "program",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        schema="openai_costs",
        comment="what the program notes about the schema itself: digests of views, version of the rules",
    )
    op.create_table(
        "projects",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("project_name", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organization", "project_id"),
        schema="openai_costs",
    )
    op.create_table(
        "raw_buckets",
        sa.Column("raw_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("usage_date", sa.Date(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="the endpoint: costs"),
        sa.Column("grouping", sa.Text(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of the uncompressed bytes"),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="the day's bucket as the API sent it, zlib"),
        sa.PrimaryKeyConstraint("raw_id"),
        schema="openai_costs",
    )
    op.create_index(
        "raw_buckets_by_day",
        "raw_buckets",
        ["organization", "usage_date", "source"],
        unique=False,
        schema="openai_costs",
    )
    op.create_table(
        "readings",
        sa.Column("reading_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("grouping", sa.Text(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False, comment="refresh, backfill or person"),
        sa.Column("run_id", sa.Text(), nullable=True, comment="Dagster's run"),
        sa.PrimaryKeyConstraint("reading_id"),
        schema="openai_costs",
        comment="one row for every window that was stored",
    )
    op.create_index(
        "readings_by_organization",
        "readings",
        ["organization", "stored_at"],
        unique=False,
        schema="openai_costs",
    )
    op.create_table(
        "refusals",
        sa.Column("refusal_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("grouping", sa.Text(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=True, comment="null: all earlier days"),
        sa.Column("last_day", sa.Date(), nullable=True, comment="null: until further notice"),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("refusal_id"),
        schema="openai_costs",
        comment="groupings that the API refused, so that the next run need not ask",
    )
    op.create_index("refusals_by_organization", "refusals", ["organization"], unique=False, schema="openai_costs")
    op.create_table(
        "revisions",
        sa.Column("revision_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("usage_date", sa.Date(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=True),
        sa.Column("line_item", sa.Text(), nullable=True),
        sa.Column("api_key_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("old_amount", sa.Numeric(), nullable=False),
        sa.Column("new_amount", sa.Numeric(), nullable=False),
        sa.Column("compared_by", sa.Text(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("revision_id"),
        schema="openai_costs",
    )
    op.create_index(
        "revisions_by_day", "revisions", ["organization", "usage_date"], unique=False, schema="openai_costs"
    )
    # Bodies are compressed already: TOAST need not try again.
    op.execute("alter table openai_costs.raw_buckets alter column body set storage external")


def downgrade() -> None:
    """Take back."""
    op.execute("drop view if exists openai_costs.day_status")
    for view in ("sync_status", "cost_revisions", "daily_costs"):
        op.execute(f"drop view if exists openai_costs.{view}")
    op.drop_table("cost_days", schema="openai_costs")
    op.drop_table("cost_rows", schema="openai_costs")
    op.drop_table("line_items", schema="openai_costs")
    op.drop_table("organizations", schema="openai_costs")
    op.drop_table("program", schema="openai_costs")
    op.drop_table("projects", schema="openai_costs")
    op.drop_table("raw_buckets", schema="openai_costs")
    op.drop_table("readings", schema="openai_costs")
    op.drop_table("refusals", schema="openai_costs")
    op.drop_table("revisions", schema="openai_costs")
