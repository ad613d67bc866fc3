"""Alerts on their way to people, what does not work now, and budgets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "organizations",
        sa.Column(
            "first_judged_run",
            sa.Text(),
            nullable=True,
            comment="Dagster's run that first judged any day; what it found was seen",
        ),
        schema="openai_costs",
    )
    _create_outbox()
    _create_messages()
    _create_incidents()
    _create_troubles()
    _create_openai_budgets()
    _create_budget_states()


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("alert_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("dedup_key", sa.Text(), nullable=False, comment="what this alert is about, once and for all"),
        sa.Column("organization", sa.Text(), nullable=True, comment="null where it is of none, as a test"),
        sa.Column("kind", sa.Text(), nullable=False, comment="anomaly, budget, sync_failure or test"),
        sa.Column(
            "event",
            sa.Text(),
            nullable=False,
            comment="what became of it: opened, grown, ended, crossed, failed ...",
        ),
        sa.Column("severity", sa.Text(), nullable=False, comment="low, medium or high"),
        sa.Column("project_id", sa.Text(), nullable=True),
        sa.Column("usage_date", sa.Date(), nullable=True),
        sa.Column("anomaly_id", sa.BigInteger(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(), nullable=False, comment="label and value, in order"),
        sa.Column("page", sa.Text(), nullable=True, comment="path of the page in Dagster"),
        sa.Column("chart", sa.LargeBinary(), nullable=True, comment="PNG"),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("seen", sa.Boolean(), nullable=False, comment="recorded as already seen: never sent"),
        sa.Column("routed_at", _TIME, nullable=True, comment="when it was put into messages"),
        sa.PrimaryKeyConstraint("alert_id"),
        sa.UniqueConstraint("dedup_key"),
        schema="openai_costs",
        comment="what people are to be told, written in the transaction that records it",
    )
    op.create_index(
        "outbox_unrouted",
        "outbox",
        ["alert_id"],
        unique=False,
        schema="openai_costs",
        postgresql_where=sa.text("routed_at is null and not seen"),
    )


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("message_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False, comment="the name of where it goes; never its address"),
        sa.Column("idempotency_key", sa.Text(), nullable=False, comment="the same in every attempt"),
        sa.Column("organization", sa.Text(), nullable=True, comment="null where it tells of several, or of none"),
        sa.Column("alert_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="waiting, delivered, dead or dropped"),
        sa.Column(
            "due_at",
            _TIME,
            nullable=False,
            comment="not to be tried before; while it is being sent, when another may try",
        ),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="begun"),
        sa.Column("first_tried_at", _TIME, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("message_id"),
        sa.UniqueConstraint("idempotency_key"),
        schema="openai_costs",
        comment="alerts on their way to a channel; those of one cause are one message",
    )
    op.create_index(
        "messages_due",
        "messages",
        ["channel", "due_at"],
        unique=False,
        schema="openai_costs",
        postgresql_where=sa.text("state = 'waiting'"),
    )


def _create_incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("incident_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=True),
        sa.Column("service", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("api_key_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("line_item", sa.Text(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column(
            "alerted_impact",
            sa.Numeric(),
            nullable=False,
            comment="US dollars a day that people know of; twice that is news",
        ),
        sa.Column("alerted_day", sa.Date(), nullable=False, comment="the day of that"),
        sa.Column("announced", sa.Boolean(), nullable=False, comment="whether anyone was told"),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id"),
        schema="openai_costs",
        comment="anomalies over their days: one that goes on is one incident",
    )
    op.create_index(
        "incidents_by_organization", "incidents", ["organization", "last_day"], unique=False, schema="openai_costs"
    )


def _create_troubles() -> None:
    op.create_table(
        "troubles",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False, comment="sync or arrivals"),
        sa.Column("reason", sa.Text(), nullable=False, comment="kind of failure; another one is news"),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False, comment="low, medium or high"),
        sa.Column("days", postgresql.ARRAY(sa.Date()), nullable=False, comment="that failed, oldest first"),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("announced_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("organization", "what"),
        schema="openai_costs",
        comment="what does not work now",
    )


def _create_openai_budgets() -> None:
    op.create_table(
        "openai_budgets",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("amount_limit", sa.Numeric(), nullable=False, comment="US dollars a month"),
        sa.Column("is_hard", sa.Boolean(), nullable=False, comment="whether OpenAI stops at it"),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("organization", "amount_limit", "is_hard"),
        schema="openai_costs",
        comment="OpenAI's own spend limits and alerts, where they are read in as budgets",
    )


def _create_budget_states() -> None:
    op.create_table(
        "budget_states",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("budget", sa.Text(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("period_end", sa.Date(), nullable=False, comment="its last day"),
        sa.Column("scope", sa.Text(), nullable=False, comment="organization, project, user, api_key, model or service"),
        sa.Column("scope_id", sa.Text(), nullable=True),
        sa.Column("amount_limit", sa.Numeric(), nullable=False),
        sa.Column("spent", sa.Numeric(), nullable=False),
        sa.Column("forecast", sa.Numeric(), nullable=True),
        sa.Column("forecast_low", sa.Numeric(), nullable=True),
        sa.Column("forecast_high", sa.Numeric(), nullable=True),
        sa.Column("known_to", sa.Date(), nullable=True, comment="the last day that is in it"),
        sa.Column("evaluated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("organization", "budget", "period_start"),
        schema="openai_costs",
        comment="budgets in their periods, as they were last looked at; US dollars",
    )


def downgrade() -> None:
    """Take back."""
    for view in ("budget_status", "alerts"):
        op.execute(f"drop view if exists openai_costs.{view}")
    for table in ("budget_states", "openai_budgets", "troubles", "incidents", "messages", "outbox"):
        op.drop_table(table, schema="openai_costs")
    op.drop_column("organizations", "first_judged_run", schema="openai_costs")
