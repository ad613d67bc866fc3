"""The tables. People and dashboards read the views in `views/`; these are free to change by migration.

Amounts are unconstrained `numeric` and hold what the API billed to the last digit. `usage_date` is a UTC day.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA = "openai_costs"

metadata = MetaData(schema=SCHEMA)

organizations = Table(
    "organizations",
    metadata,
    Column("organization", Text, primary_key=True, comment="the configured name"),
    Column("openai_organization_id", Text, unique=True, comment="learned from the configuration or an answer"),
    Column("display_name", Text),
    Column("start_date", Date, comment="as configured"),
    Column("earliest_day", Date, comment="the earliest day that the API served on first contact, kept for ever"),
    Column("first_contact_at", DateTime(timezone=True)),
    Column("last_success_at", DateTime(timezone=True)),
    Column("last_error", Text),
    Column("last_error_at", DateTime(timezone=True)),
    Column("last_error_is_permanent", Boolean),
)

readings = Table(
    "readings",
    metadata,
    Column("reading_id", BigInteger, Identity(always=True), primary_key=True),
    Column("organization", Text, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("grouping", Text, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("stored_at", DateTime(timezone=True), nullable=False),
    Column("asked_by", Text, nullable=False, comment="refresh, backfill or person"),
    Column("run_id", Text, comment="Dagster's run"),
    Index("readings_by_organization", "organization", "stored_at"),
    comment="one row for every window that was stored",
)

cost_days = Table(
    "cost_days",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("usage_date", Date, primary_key=True),
    Column("reading_id", BigInteger, nullable=False),
    Column("grouping", Text, nullable=False),
    Column("provisional", Boolean, nullable=False),
    Column("fetched_at", DateTime(timezone=True), nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("received_count", Integer, nullable=False, comment="before rows of one key were added up"),
    Column("absent_amounts", Integer, nullable=False),
    Column("amount_usd", Numeric, nullable=False),
    Column("reconciled", Boolean, comment="null where no second answer could be had"),
    Column("reconcile_difference", Numeric, comment="grouped less ungrouped, of the currency that differs most"),
    comment="one row for every stored organization-day; the unit of change",
)

cost_rows = Table(
    "cost_rows",
    metadata,
    Column("organization", Text, nullable=False),
    Column("usage_date", Date, nullable=False),
    Column("project_id", Text),
    Column("user_id", Text),
    Column("api_key_id", Text),
    Column("line_item", Text),
    Column("currency", Text),
    Column("quantity_unit", Text),
    Column("amount", Numeric),
    Column("quantity", Numeric),
    Index("cost_rows_by_day", "organization", "usage_date"),
    comment="one row per key; unique by construction: a day is added up, then replaced whole",
)

revisions = Table(
    "revisions",
    metadata,
    Column("revision_id", BigInteger, Identity(always=True), primary_key=True),
    Column("organization", Text, nullable=False),
    Column("usage_date", Date, nullable=False),
    Column("project_id", Text),
    Column("line_item", Text),
    Column("api_key_id", Text),
    Column("user_id", Text),
    Column("currency", Text),
    Column("old_amount", Numeric, nullable=False),
    Column("new_amount", Numeric, nullable=False),
    Column("compared_by", Text, nullable=False),
    Column("observed_at", DateTime(timezone=True), nullable=False),
    Index("revisions_by_day", "organization", "usage_date"),
)

raw_buckets = Table(
    "raw_buckets",
    metadata,
    Column("raw_id", BigInteger, Identity(always=True), primary_key=True),
    Column("organization", Text, nullable=False),
    Column("usage_date", Date, nullable=False),
    Column("source", Text, nullable=False, comment="the endpoint: costs"),
    Column("grouping", Text, nullable=False),
    Column("provisional", Boolean, nullable=False),
    Column("fetched_at", DateTime(timezone=True), nullable=False),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of the uncompressed bytes"),
    Column("body", LargeBinary, nullable=False, comment="the day's bucket as the API sent it, zlib"),
    Index("raw_buckets_by_day", "organization", "usage_date", "source"),
)

line_items = Table(
    "line_items",
    metadata,
    Column("line_item", Text, primary_key=True),
    Column("service", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("subcategory", Text),
    Column("model", Text),
    Column("surface", Text),
    Column("modality", Text),
    Column("long_context", Boolean, nullable=False),
    Column("rules_version", SmallInteger, nullable=False),
)

projects = Table(
    "projects",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("project_id", Text, primary_key=True),
    Column("project_name", Text, nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
)

refusals = Table(
    "refusals",
    metadata,
    Column("refusal_id", BigInteger, Identity(always=True), primary_key=True),
    Column("organization", Text, nullable=False),
    Column("grouping", Text, nullable=False),
    Column("first_day", Date, comment="null: all earlier days"),
    Column("last_day", Date, comment="null: until further notice"),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Index("refusals_by_organization", "organization"),
    comment="groupings that the API refused, so that the next run need not ask",
)

anomalies = Table(
    "anomaly_findings",
    metadata,
    Column("anomaly_id", BigInteger, Identity(always=True), primary_key=True),
    Column("organization", Text, nullable=False),
    Column("usage_date", Date, nullable=False),
    Column("level", Text, nullable=False, comment="which of the dimensions name the series"),
    Column("project_id", Text),
    Column("service", Text),
    Column("model", Text, comment="or the tool, where there is no model"),
    Column("api_key_id", Text),
    Column("user_id", Text),
    Column("actual", Numeric, nullable=False),
    Column("expected", Numeric, nullable=False),
    Column("lower", Numeric, nullable=False),
    Column("upper", Numeric, nullable=False),
    Column("impact", Numeric, nullable=False, comment="actual less expected"),
    Column("score", Numeric, nullable=False, comment="standard deviations"),
    Column("direction", Text, nullable=False, comment="up or down"),
    Column("severity", Text, nullable=False, comment="low, medium or high, by impact"),
    Column("reason", Text, nullable=False, comment="which test it failed"),
    Column("explanation", Text, nullable=False),
    Column("worth_alerting", Boolean, nullable=False, comment="unusual and large enough, and not muted"),
    Column("found_by", Text, nullable=False, comment="refresh, backfill or person, whoever found it first"),
    Column("found_at", DateTime(timezone=True), nullable=False),
    Column("judged_at", DateTime(timezone=True), nullable=False),
    Column("alerted_at", DateTime(timezone=True)),
    UniqueConstraint(
        "organization",
        "usage_date",
        "level",
        "project_id",
        "service",
        "model",
        "api_key_id",
        "user_id",
        name="anomaly_findings_one_per_series_and_day",
        postgresql_nulls_not_distinct=True,
    ),
    comment="days of series that are not like the days before them, one for each cause",
)

anomaly_feedback = Table(
    "anomaly_feedback",
    metadata,
    Column("feedback_id", BigInteger, Identity(always=True), primary_key=True),
    Column("organization", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="mute or expected"),
    Column("level", Text, nullable=False),
    Column("project_id", Text),
    Column("service", Text),
    Column("model", Text),
    Column("api_key_id", Text),
    Column("user_id", Text),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("reason", Text, nullable=False),
    Column("given_at", DateTime(timezone=True), nullable=False),
    Index("anomaly_feedback_by_organization", "organization", "first_day"),
    comment="what people said of findings; it changes how days are judged from then on",
)

program = Table(
    "program",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    comment="what the program notes about the schema itself: digests of views, version of the rules",
)
