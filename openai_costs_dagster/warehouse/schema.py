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
    TextClause,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

SCHEMA = "openai_costs"

metadata = MetaData(schema=SCHEMA)


def _key(column: str) -> TextClause:
    """A text of the API in a unique index: it may be longer than an index entry (migration 0007)."""
    return text(f"openai_costs.text_key({column})")


organizations = Table(
    "organizations",
    metadata,
    Column("organization", Text, primary_key=True, comment="the configured name"),
    Column("openai_organization_id", Text, comment="learned from the configuration or an answer"),
    Column("display_name", Text),
    Column("start_date", Date, comment="as configured"),
    Column("earliest_day", Date, comment="the earliest day that the API served on first contact, kept for ever"),
    Column("first_contact_at", DateTime(timezone=True)),
    Column("last_success_at", DateTime(timezone=True)),
    Column("last_error", Text),
    Column("last_error_at", DateTime(timezone=True)),
    Column("last_error_is_permanent", Boolean),
    Column("first_judged_run", Text, comment="Dagster's run that first judged any day; what it found was seen"),
    Index("organizations_once", _key("openai_organization_id"), unique=True),
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
    Index("cost_rows_by_date", "usage_date", postgresql_using="brin"),
    Index(
        "cost_rows_of_other_currencies",
        "organization",
        "usage_date",
        postgresql_where=text("currency is distinct from 'usd'"),
    ),
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
    Column("worth_alerting", Boolean, nullable=False, comment="unusual and large enough; the view applies mutes"),
    Column("found_by", Text, nullable=False, comment="refresh, backfill or person, whoever found it first"),
    Column("found_at", DateTime(timezone=True), nullable=False),
    Column("judged_at", DateTime(timezone=True), nullable=False),
    Column("alerted_at", DateTime(timezone=True)),
    Column("line_item", Text, comment="of a changed unit price"),
    Index(
        "anomaly_findings_one_per_series_and_day",
        "organization",
        "usage_date",
        "level",
        *map(_key, ("project_id", "service", "model", "api_key_id", "user_id", "line_item")),
        unique=True,
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
    Column("line_item", Text, comment="of a changed unit price"),
    Column("anomaly_id", BigInteger, nullable=False, comment="of the finding that was answered, which may be gone"),
    Index("anomaly_feedback_by_organization", "organization", "first_day"),
    comment="what people said of findings; it changes how days are judged from then on",
)

usage_days = Table(
    "usage_days",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("usage_date", Date, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("provisional", Boolean, nullable=False),
    Column("fetched_at", DateTime(timezone=True), nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("grouping", Text, nullable=False, comment="the groups that were served"),
    comment="one row for every stored day of a usage endpoint",
)

usage_rows = Table(
    "usage_rows",
    metadata,
    Column("organization", Text, nullable=False),
    Column("usage_date", Date, nullable=False),
    Column("operation", Text, nullable=False),
    Column("project_id", Text),
    Column("user_id", Text),
    Column("api_key_id", Text),
    Column("model", Text),
    Column("groups", JSONB, nullable=False, comment="the endpoint's other groups"),
    Column("counters", JSONB, nullable=False),
    Index("usage_rows_by_day", "organization", "usage_date", "operation"),
    comment="what was counted; never money",
)

absences = Table(
    "absences",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("what", Text, primary_key=True, comment="an endpoint's address"),
    Column("said", Text, nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    comment="what the server did not serve, so that the next run need not ask",
)

directory_entries = Table(
    "directory_entries",
    metadata,
    Column("organization", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="project, user or api_key"),
    Column("id", Text, nullable=False),
    Column("project_id", Text, comment="of an API key"),
    Column("owner_id", Text, comment="of an API key: a user or a service account"),
    Column("status", Text, comment="active, archived or gone"),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Index("directory_entries_once", "organization", "kind", _key("id"), unique=True),
)

known_names = Table(
    "known_names",
    metadata,
    Column("organization", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="project, user or api_key"),
    Column("id", Text, nullable=False),
    Column("name", Text),
    Column("email", Text),
    Column("first_seen_at", DateTime(timezone=True), nullable=False),
    Column("last_seen_at", DateTime(timezone=True), nullable=False),
    Index(
        "known_names_once",
        "organization",
        "kind",
        *map(_key, ("id", "name", "email")),
        unique=True,
        postgresql_nulls_not_distinct=True,
    ),
    comment="every name that was ever seen; the one seen last is the present one",
)

forgotten_users = Table(
    "forgotten_users",
    metadata,
    Column("user_id", Text, nullable=False),
    Column("forgotten_at", DateTime(timezone=True), nullable=False),
    Index("forgotten_users_once", _key("user_id"), unique=True),
    comment="whose name and address are kept no more, in any organization",
)

user_cost_days = Table(
    "user_cost_days",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("usage_date", Date, primary_key=True),
    Column("fetched_at", DateTime(timezone=True), nullable=False),
    comment="days of which each user's own totals are known, where costs came without users",
)

user_costs = Table(
    "user_costs",
    metadata,
    Column("organization", Text, nullable=False),
    Column("usage_date", Date, nullable=False),
    Column("user_id", Text),
    Column("line_item", Text),
    Column("currency", Text),
    Column("amount", Numeric, nullable=False),
    Index("user_costs_by_day", "organization", "usage_date"),
    comment="costs by user and line item: serves allocation alone and is never added to costs",
)

allocations = Table(
    "allocations",
    metadata,
    Column("organization", Text, nullable=False),
    Column("usage_date", Date, nullable=False),
    Column("project_id", Text),
    Column("user_id", Text),
    Column("api_key_id", Text),
    Column("line_item", Text),
    Column("currency", Text),
    Column("amount", Numeric),
    Column("method", Text, nullable=False, comment="billed, usage or unallocated"),
    Index("allocations_by_day", "organization", "usage_date"),
    comment="cost rows shared out to users and keys; the shares of a row add up to it",
)

allocation_days = Table(
    "allocation_days",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("usage_date", Date, primary_key=True),
    Column("reading_id", BigInteger, nullable=False, comment="the reading of costs that was shared out"),
    Column("allocated_at", DateTime(timezone=True), nullable=False),
    Column("gross_usd", Numeric, nullable=False, comment="of all shares, without their signs"),
    Column("to_users_usd", Numeric, nullable=False, comment="of those with a user"),
    Column("to_keys_usd", Numeric, nullable=False, comment="of those with an API key"),
    Column("unsplit_line_items", ARRAY(Text), comment="line items whose rows are not split by the users' totals"),
)

program = Table(
    "program",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    comment="what the program notes about the schema itself: digests of views, version of the rules",
)

outbox = Table(
    "outbox",
    metadata,
    Column("alert_id", BigInteger, Identity(always=True), primary_key=True),
    Column("dedup_key", Text, nullable=False, comment="what this alert is about, once and for all"),
    Column("organization", Text, comment="null where it is of none, as a test"),
    Column("kind", Text, nullable=False, comment="anomaly, budget, sync_failure or test"),
    Column("event", Text, nullable=False, comment="what became of it: opened, grown, ended, crossed, failed ..."),
    Column("severity", Text, nullable=False, comment="low, medium or high"),
    Column("project_id", Text),
    Column("usage_date", Date),
    Column("anomaly_id", BigInteger),
    Column("title", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("facts", JSONB, nullable=False, comment="label and value, in order"),
    Column("page", Text, comment="path of the page in Dagster"),
    Column("chart", LargeBinary, comment="PNG"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("seen", Boolean, nullable=False, comment="recorded as already seen: never sent"),
    Column("routed_at", DateTime(timezone=True), comment="when it was put into messages"),
    Index("outbox_once", _key("dedup_key"), unique=True),
    Index("outbox_unrouted", "alert_id", postgresql_where=text("routed_at is null and not seen")),
    comment="what people are to be told, written in the transaction that records it",
)

messages = Table(
    "messages",
    metadata,
    Column("message_id", BigInteger, Identity(always=True), primary_key=True),
    Column("channel", Text, nullable=False, comment="the name of where it goes; never its address"),
    Column("idempotency_key", Text, nullable=False, unique=True, comment="the same in every attempt"),
    Column("organization", Text, comment="null where it tells of several, or of none"),
    Column("alert_ids", ARRAY(BigInteger), nullable=False),
    Column("state", Text, nullable=False, comment="waiting, delivered, dead or dropped"),
    Column(
        "due_at",
        DateTime(timezone=True),
        nullable=False,
        comment="not to be tried before; while it is being sent, when another may try",
    ),
    Column("attempts", Integer, nullable=False, comment="begun"),
    Column("first_tried_at", DateTime(timezone=True)),
    Column("last_error", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    Index("messages_due", "channel", "due_at", postgresql_where=text("state = 'waiting'")),
    comment="alerts on their way to a channel; those of one cause are one message",
)

incidents = Table(
    "incidents",
    metadata,
    Column("incident_id", BigInteger, Identity(always=True), primary_key=True),
    Column("organization", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("project_id", Text),
    Column("service", Text),
    Column("model", Text),
    Column("api_key_id", Text),
    Column("user_id", Text),
    Column("line_item", Text),
    Column("direction", Text, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column(
        "alerted_impact", Numeric, nullable=False, comment="US dollars a day that people know of; twice that is news"
    ),
    Column("alerted_day", Date, nullable=False, comment="the day of that"),
    Column("announced", Boolean, nullable=False, comment="whether anyone was told"),
    Column("is_open", Boolean, nullable=False),
    Index("incidents_by_organization", "organization", "last_day"),
    comment="anomalies over their days: one that goes on is one incident",
)

troubles = Table(
    "troubles",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("what", Text, primary_key=True, comment="sync or arrivals"),
    Column("reason", Text, nullable=False, comment="kind of failure; another one is news"),
    Column("sentence", Text, nullable=False),
    Column("severity", Text, nullable=False, comment="low, medium or high"),
    Column("days", ARRAY(Date), nullable=False, comment="that failed, oldest first"),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("announced_at", DateTime(timezone=True)),
    comment="what does not work now",
)

openai_budgets = Table(
    "openai_budgets",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("amount_limit", Numeric, primary_key=True, comment="US dollars a month"),
    Column("is_hard", Boolean, primary_key=True, comment="whether OpenAI stops at it"),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    comment="OpenAI's own spend limits and alerts, where they are read in as budgets",
)

budget_states = Table(
    "budget_states",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("budget", Text, primary_key=True),
    Column("period_start", Date, primary_key=True),
    Column("period_end", Date, nullable=False, comment="its last day"),
    Column("scope", Text, nullable=False, comment="organization, project, user, api_key, model or service"),
    Column("scope_id", Text),
    Column("amount_limit", Numeric, nullable=False),
    Column("spent", Numeric, nullable=False),
    Column("forecast", Numeric),
    Column("forecast_low", Numeric),
    Column("forecast_high", Numeric),
    Column("known_to", Date, comment="the last day that is in it"),
    Column("evaluated_at", DateTime(timezone=True), nullable=False),
    comment="budgets in their periods, as they were last looked at; US dollars",
)

sensor_ticks = Table(
    "sensor_ticks",
    metadata,
    Column("location", Text, primary_key=True, comment="the code location in Dagster"),
    Column("host", Text, primary_key=True, comment="the machine or container of its code server"),
    Column("sensor", Text, primary_key=True),
    Column("organizations", ARRAY(Text), nullable=False, comment="that the sensor covers"),
    Column("interval_seconds", Integer, nullable=False),
    Column("last_tick_at", DateTime(timezone=True), nullable=False, comment="the last completed tick"),
    Column("last_error", Text, comment="of the last tick; null if it succeeded"),
    comment="one row per sensor and code location: when it last ran",
)

dead_runs = Table(
    "dead_runs",
    metadata,
    Column("run_id", Text, primary_key=True, comment="Dagster's run"),
    Column("organization", Text, comment="null for a run of the assets that all organizations share"),
    Column("ended_at", DateTime(timezone=True), nullable=False, comment="when Dagster marked it as failed"),
    Column("reason", Text, nullable=False),
    Column("is_retried", Boolean, nullable=False, comment="whether Dagster starts the run again"),
    Index("dead_runs_by_time", "ended_at"),
    comment="runs whose process died, as the run monitor found them",
)

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("location", Text, primary_key=True, comment="the code location in Dagster"),
    Column("address", Text, primary_key=True, comment="where heartbeat_url is read from; never the URL"),
    Column("day", Date, nullable=False, comment="the complete UTC day that is reported"),
    Column("attempts", Integer, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False, comment="earliest time of the next attempt"),
    Column("delivered_at", DateTime(timezone=True)),
    Column("last_error", Text),
    comment="the newest heartbeat of each code location",
)
