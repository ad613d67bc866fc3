"""Defines the tables of the database schema `openai_costs`.

Users query the views in `views/` and not the tables, so migrations may change the tables. Amounts are stored as
`numeric` without a limit of digits, so that they keep every digit that OpenAI's API returned. `usage_date` is a UTC
day.
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
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

SCHEMA = "openai_costs"

metadata = MetaData(schema=SCHEMA)


def _key(column: str) -> TextClause:
    """Return an index expression for a column with texts from OpenAI's API, which may be too long for an index entry.

    The SQL function `openai_costs.text_key` of migration 0007 replaces long texts by a hash, which fits.
    """
    return text(f"openai_costs.text_key({column})")


organizations = Table(
    "organizations",
    metadata,
    Column("organization", Text, primary_key=True, comment="configured name"),
    Column("openai_organization_id", Text, comment="from the configuration or a response of the API"),
    Column("display_name", Text),
    Column("start_date", Date, comment="configured start date"),
    Column(
        # Dagster's partitions start at this day. OpenAI's own first day moves forward every day, and partitions of
        # stored days would disappear with it. The first day is therefore stored once.
        "earliest_day",
        Date,
        comment="earliest day that the API served at onboarding; never changes once data is stored",
    ),
    Column("onboarded_at", DateTime(timezone=True), comment="time at which earliest_day was determined"),
    Column("last_success_at", DateTime(timezone=True)),
    Column("last_error", Text),
    Column("last_error_at", DateTime(timezone=True)),
    Column("last_error_is_permanent", Boolean),
    Column("first_evaluated_run", Text, comment="first Dagster run that evaluated any day; its findings never alert"),
    # If two configured names belonged to one OpenAI organization, every total would count its costs twice.
    Index("organizations_once", _key("openai_organization_id"), unique=True),
)

sync_windows = Table(
    "sync_windows",
    metadata,
    Column("sync_window_id", BigInteger, Identity(always=True), primary_key=True),
    Column("organization", Text, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("grouping", Text, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("stored_at", DateTime(timezone=True), nullable=False),
    Column("trigger", Text, nullable=False, comment="schedule, backfill or manual"),
    Column("run_id", Text, comment="Dagster run"),
    Index("sync_windows_by_organization", "organization", "stored_at"),
    comment="one row per synchronization of a window of days",
)

cost_days = Table(
    "cost_days",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("usage_date", Date, primary_key=True),
    Column("sync_window_id", BigInteger, nullable=False),
    Column("grouping", Text, nullable=False),
    Column("provisional", Boolean, nullable=False),
    Column("fetched_at", DateTime(timezone=True), nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("received_count", Integer, nullable=False, comment="rows before those with the same key were summed"),
    Column("absent_amounts", Integer, nullable=False),
    Column("amount_usd", Numeric, nullable=False),
    Column(
        "reconciled",
        Boolean,
        comment="whether grouped and ungrouped totals agree; null if OpenAI returned no ungrouped total",
    ),
    Column(
        "reconcile_difference",
        Numeric,
        comment="grouped minus ungrouped total, in the currency with the largest difference",
    ),
    comment="one row per stored day of an organization; a day is always replaced as a whole",
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
    # OpenAI may return an amount without a currency. Such amounts have a null currency and are never added to US
    # dollars.
    Column("currency", Text),
    Column("quantity_unit", Text),
    # If OpenAI returned a row without an amount, the amount stays null. Zero would look like an amount from OpenAI.
    Column("amount", Numeric),
    Column("quantity", Numeric),
    # A unique index over the seven nullable key columns would take longer to update than loading the rows takes. The
    # keys are unique anyway, because rows are summed by key in memory and a day is replaced as a whole
    # (docs/decisions/0010-staging.md).
    Index("cost_rows_by_day", "organization", "usage_date"),
    # Rows of the same day are stored close together, because days are loaded in order. For such data, a BRIN index of a
    # few hundred kilobytes finds the rows of a day.
    Index("cost_rows_by_date", "usage_date", postgresql_using="brin"),
    Index(
        # Queries look for the few costs in other currencies. Almost all rows are in US dollars, so an index that
        # contains only the other rows is small.
        "cost_rows_of_other_currencies",
        "organization",
        "usage_date",
        postgresql_where=text("currency is distinct from 'usd'"),
    ),
    comment="one row per combination of dimensions; a day is summed, then replaced as a whole",
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
    comment="changes of amounts of settled days",
)

raw_buckets = Table(
    "raw_buckets",
    metadata,
    Column("raw_id", BigInteger, Identity(always=True), primary_key=True),
    Column("organization", Text, nullable=False),
    Column("usage_date", Date, nullable=False),
    Column("source", Text, nullable=False, comment="endpoint, for example costs"),
    Column("grouping", Text, nullable=False),
    Column("provisional", Boolean, nullable=False),
    Column("fetched_at", DateTime(timezone=True), nullable=False),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of the uncompressed body"),
    Column(
        "body", LargeBinary, nullable=False, comment="bucket of the day as returned by the API, compressed with zlib"
    ),
    # The index is not unique, because a day has several rows if OpenAI changed its response for the day after it was
    # settled: every version of the response is stored.
    Index("raw_buckets_by_day", "organization", "usage_date", "source"),
)

line_items = Table(
    "line_items",
    metadata,
    # The primary key is the text itself and not a hash of it. The views join this table to every cost row, and
    # PostgreSQL skips an unused join only if the plain column is unique
    # (docs/decisions/0025-invalid-characters-and-long-texts.md).
    Column("line_item", Text, primary_key=True),
    Column("service", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("subcategory", Text),
    Column("model", Text),
    Column("surface", Text),
    Column("modality", Text),
    Column("long_context", Boolean, nullable=False),
    Column("rules_version", SmallInteger, nullable=False, comment="version of the classification rules"),
    comment="classification of each line item",
)

projects = Table(
    "projects",
    metadata,
    Column("organization", Text, primary_key=True),
    # The primary key is the id itself and not a hash of it. The views join this table to every cost row, and PostgreSQL
    # skips an unused join only if the plain column is unique.
    Column("project_id", Text, primary_key=True),
    Column("project_name", Text, nullable=False),
    Column("observed_at", DateTime(timezone=True), nullable=False),
    comment="latest name of each project",
)

refused_groupings = Table(
    "refused_groupings",
    metadata,
    Column("refusal_id", BigInteger, Identity(always=True), primary_key=True),
    Column("organization", Text, nullable=False),
    Column("grouping", Text, nullable=False),
    Column("first_day", Date, comment="null: no first day"),
    Column("last_day", Date, comment="null: no last day"),
    Column("observed_at", DateTime(timezone=True), nullable=False),
    Index("refused_groupings_by_organization", "organization"),
    comment="groupings that the API refused, which later runs do not request",
)

anomaly_findings = Table(
    "anomaly_findings",
    metadata,
    Column("anomaly_id", BigInteger, Identity(always=True), primary_key=True),
    Column("organization", Text, nullable=False),
    Column("usage_date", Date, nullable=False),
    Column("level", Text, nullable=False, comment="dimensions of the series, for example project and model"),
    Column("project_id", Text),
    Column("service", Text),
    Column("model", Text, comment="model, or the tool of costs without a model"),
    Column("api_key_id", Text),
    Column("user_id", Text),
    Column("actual", Numeric, nullable=False),
    Column("expected", Numeric, nullable=False),
    Column("lower", Numeric, nullable=False),
    Column("upper", Numeric, nullable=False),
    Column("impact", Numeric, nullable=False, comment="actual minus expected, US dollars"),
    Column("score", Numeric, nullable=False, comment="difference in standard deviations"),
    Column("direction", Text, nullable=False, comment="up or down"),
    Column("severity", Text, nullable=False, comment="low, medium or high, by impact"),
    Column("reason", Text, nullable=False, comment="detection rule"),
    Column("explanation", Text, nullable=False),
    Column(
        "worth_alerting",
        Boolean,
        nullable=False,
        comment="whether the impact is large enough for an alert; mutes apply in the view",
    ),
    Column(
        "trigger", Text, nullable=False, comment="trigger of the first run with the finding: schedule, backfill, manual"
    ),
    Column("found_at", DateTime(timezone=True), nullable=False),
    Column("evaluated_at", DateTime(timezone=True), nullable=False),
    Column("alerted_at", DateTime(timezone=True)),
    Column("line_item", Text, comment="line item of a changed unit price"),
    Index(
        # A series that covers all projects has null as `project_id`. The index treats nulls as equal, because it would
        # otherwise allow two findings for the same series and day.
        "anomaly_findings_one_per_series_and_day",
        "organization",
        "usage_date",
        "level",
        *map(_key, ("project_id", "service", "model", "api_key_id", "user_id", "line_item")),
        unique=True,
        postgresql_nulls_not_distinct=True,
    ),
    comment="unusual days of a series, one finding per cause",
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
    Column("line_item", Text, comment="line item of a changed unit price"),
    Column(
        # A later evaluation may delete the finding, but the user's feedback must remain. The column is therefore no
        # foreign key.
        "anomaly_id",
        BigInteger,
        nullable=False,
        comment="finding that the feedback was given to; the finding may no longer exist",
    ),
    Index("anomaly_feedback_by_organization", "organization", "first_day"),
    comment="feedback on findings, which later evaluations apply",
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
    Column("grouping", Text, nullable=False, comment="dimensions that the API served"),
    comment="one row per stored day of a usage endpoint",
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
    Column("groups", JSONB, nullable=False, comment="dimensions of the endpoint that have no column"),
    # OpenAI adds new usage counters every few months. A JSON column stores new counters without a migration of the
    # table (docs/decisions/0012-usage-rows.md).
    Column("counters", JSONB, nullable=False),
    Index("usage_rows_by_day", "organization", "usage_date", "operation"),
    comment="usage counters; no amounts of money",
)

missing_endpoints = Table(
    "missing_endpoints",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("endpoint", Text, primary_key=True, comment="URL of the endpoint"),
    Column("message", Text, nullable=False, comment="error message of the API"),
    Column("observed_at", DateTime(timezone=True), nullable=False),
    comment="endpoints that the server does not have, which later runs do not request",
)

directory_entries = Table(
    "directory_entries",
    metadata,
    Column("organization", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="project, user or api_key"),
    Column("id", Text, nullable=False),
    Column("project_id", Text, comment="project of an API key"),
    Column("owner_id", Text, comment="owner of an API key: a user or a service account"),
    Column("status", Text, comment="active, archived or gone"),
    Column("observed_at", DateTime(timezone=True), nullable=False),
    Index("directory_entries_once", "organization", "kind", _key("id"), unique=True),
    comment="projects, users and API keys of the latest synchronization",
)

directory_names = Table(
    "directory_names",
    metadata,
    Column("organization", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="project, user or api_key"),
    Column("id", Text, nullable=False),
    Column("name", Text),
    Column("email", Text),
    Column("first_seen_at", DateTime(timezone=True), nullable=False),
    Column("last_seen_at", DateTime(timezone=True), nullable=False),
    Index(
        "directory_names_once",
        "organization",
        "kind",
        *map(_key, ("id", "name", "email")),
        unique=True,
        postgresql_nulls_not_distinct=True,
    ),
    comment="all names that a project, user or API key ever had; the latest is the current one",
)

forgotten_users = Table(
    "forgotten_users",
    metadata,
    Column("user_id", Text, nullable=False),
    Column("forgotten_at", DateTime(timezone=True), nullable=False),
    Index("forgotten_users_once", _key("user_id"), unique=True),
    comment="users whose name and email address are never stored again, in any organization",
)

user_cost_days = Table(
    "user_cost_days",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("usage_date", Date, primary_key=True),
    Column("fetched_at", DateTime(timezone=True), nullable=False),
    comment="days with totals per user, stored if the costs themselves name no users",
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
    comment="costs by user and line item; an input of allocation that is never added to costs",
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
    comment="cost rows allocated to users and API keys; the allocations of a row add up to its amount",
)

allocation_days = Table(
    "allocation_days",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("usage_date", Date, primary_key=True),
    Column("sync_window_id", BigInteger, nullable=False, comment="sync window of the allocated costs"),
    Column("allocated_at", DateTime(timezone=True), nullable=False),
    # The three sums below add absolute amounts, because a credit would otherwise cancel out an equally large cost.
    Column("gross_usd", Numeric, nullable=False, comment="sum of the absolute amounts of all allocations"),
    Column("to_users_usd", Numeric, nullable=False, comment="part of gross_usd that is allocated to users"),
    Column("to_keys_usd", Numeric, nullable=False, comment="part of gross_usd that is allocated to API keys"),
    Column("unsplit_line_items", ARRAY(Text), comment="line items that allocation does not split by user totals"),
    comment="one row per allocated day",
)

schema_metadata = Table(
    "schema_metadata",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    comment="facts about the schema itself, for example the version of the views",
)

outbox = Table(
    "outbox",
    metadata,
    Column("alert_id", BigInteger, Identity(always=True), primary_key=True),
    Column(
        "dedup_key",
        Text,
        nullable=False,
        comment="identity of the alert; a second alert with the same key is never recorded",
    ),
    Column("organization", Text, comment="null for alerts without an organization, for example tests"),
    Column("kind", Text, nullable=False, comment="anomaly, budget, sync_failure or test"),
    Column("event", Text, nullable=False, comment="opened, grown, ended, crossed, failed, recovered or another change"),
    Column("severity", Text, nullable=False, comment="low, medium or high"),
    Column("project_id", Text),
    Column("usage_date", Date),
    Column("anomaly_id", BigInteger),
    Column("title", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("facts", JSONB, nullable=False, comment="ordered pairs of label and value"),
    Column("page", Text, comment="path of a page in the Dagster UI"),
    Column("chart", LargeBinary, comment="PNG"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("acknowledged", Boolean, nullable=False, comment="recorded without being sent to anyone"),
    Column("routed_at", DateTime(timezone=True), comment="time at which the messages of the alert were created"),
    Index("outbox_once", _key("dedup_key"), unique=True),
    # A Dagster sensor searches several times a minute for alerts without messages. Almost all alerts already have
    # messages, so an index of the other alerts is small and fast.
    Index("outbox_unrouted", "alert_id", postgresql_where=text("routed_at is null and not acknowledged")),
    comment="alerts, each written in the transaction that records its cause",
)

messages = Table(
    "messages",
    metadata,
    Column("message_id", BigInteger, Identity(always=True), primary_key=True),
    # The address of a channel, for example a webhook URL, often contains a secret, so only the channel's name is
    # stored.
    Column("channel", Text, nullable=False, comment="name of the channel; never its address"),
    Column("idempotency_key", Text, nullable=False, unique=True, comment="identical in every attempt"),
    Column("organization", Text, comment="null for messages about several organizations, or none"),
    Column("alert_ids", ARRAY(BigInteger), nullable=False),
    Column("state", Text, nullable=False, comment="waiting, delivered, dead or dropped"),
    Column(
        "due_at",
        DateTime(timezone=True),
        nullable=False,
        comment="earliest time of the next attempt; during an attempt, the end of its lease",
    ),
    Column("attempts", Integer, nullable=False, comment="number of attempts that were started"),
    Column("first_tried_at", DateTime(timezone=True)),
    Column("last_error", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    Index("messages_due", "channel", "due_at", postgresql_where=text("state = 'waiting'")),
    comment="messages to channels; alerts with one cause share a message",
)

# Users may empty the table `outbox`. Incidents and open failures decide whether a later alert is sent, so they are
# stored in separate tables (docs/decisions/0014-alerts.md).
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
        "alerted_impact",
        Numeric,
        nullable=False,
        comment="US dollars a day at the latest alert; twice this amount alerts again",
    ),
    Column("alerted_day", Date, nullable=False, comment="day of alerted_impact"),
    Column("announced", Boolean, nullable=False, comment="whether an alert was sent"),
    Column("is_open", Boolean, nullable=False),
    Index("incidents_by_organization", "organization", "last_day"),
    comment="anomalies of a series over consecutive days",
)

open_failures = Table(
    "open_failures",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("kind", Text, primary_key=True, comment="sync or late_days"),
    Column("reason", Text, nullable=False, comment="cause of the failure; another cause alerts again"),
    Column("message", Text, nullable=False),
    Column("severity", Text, nullable=False, comment="low, medium or high"),
    Column("days", ARRAY(Date), nullable=False, comment="failed days, oldest first"),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("announced_at", DateTime(timezone=True), comment="time of the alert; null if none was sent"),
    comment="failures that have not recovered yet",
)

openai_budgets = Table(
    "openai_budgets",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("amount_limit", Numeric, primary_key=True, comment="US dollars per month"),
    # At OpenAI, a spend limit (which is hard) and a spend alert (which is not) can have the same amount. The column is
    # part of the primary key, so that both rows can be stored.
    Column("is_hard", Boolean, primary_key=True, comment="whether OpenAI refuses requests above the limit"),
    Column("observed_at", DateTime(timezone=True), nullable=False),
    comment="spend limits and alerts that are configured at OpenAI, imported as budgets",
)

budget_states = Table(
    "budget_states",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("budget", Text, primary_key=True),
    Column("period_start", Date, primary_key=True),
    Column("period_end", Date, nullable=False, comment="last day of the period"),
    Column("scope", Text, nullable=False, comment="organization, project, user, api_key, model or service"),
    Column("scope_id", Text),
    Column("amount_limit", Numeric, nullable=False),
    Column("spent", Numeric, nullable=False),
    Column("forecast", Numeric),
    Column("forecast_low", Numeric),
    Column("forecast_high", Numeric),
    Column("complete_to", Date, comment="last complete day in spent"),
    Column("evaluated_at", DateTime(timezone=True), nullable=False),
    comment="latest evaluation of each budget in each period; US dollars",
)

sensor_ticks = Table(
    "sensor_ticks",
    metadata,
    Column("location", Text, primary_key=True, comment="Dagster code location"),
    # A Dagster code location can run on several hosts, so a sensor has one row for each host.
    Column("host", Text, primary_key=True, comment="machine or container of the code server"),
    Column("sensor", Text, primary_key=True),
    Column("organizations", ARRAY(Text), nullable=False, comment="organizations that the sensor covers"),
    Column("interval_seconds", Integer, nullable=False),
    Column("last_tick_at", DateTime(timezone=True), nullable=False, comment="time of the last completed tick"),
    Column("last_error", Text, comment="error of the last tick; null if the tick succeeded"),
    comment="latest tick of each sensor in each code location",
)

dead_runs = Table(
    "dead_runs",
    metadata,
    Column("run_id", Text, primary_key=True, comment="Dagster run"),
    Column("organization", Text, comment="null for runs of assets that all organizations share"),
    Column(
        "ended_at", DateTime(timezone=True), nullable=False, comment="time at which Dagster marked the run as failed"
    ),
    Column("reason", Text, nullable=False),
    Column("is_retried", Boolean, nullable=False, comment="whether Dagster retries the run"),
    Index("dead_runs_by_time", "ended_at"),
    comment="runs whose process died, as detected by the run monitor",
)

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("location", Text, primary_key=True, comment="Dagster code location"),
    Column(
        "address",
        Text,
        primary_key=True,
        comment="source of heartbeat_url, for example an environment variable; never the URL itself",
    ),
    Column("day", Date, nullable=False, comment="complete UTC day that the heartbeat reports"),
    Column("attempts", Integer, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False, comment="earliest time of the next attempt"),
    Column("delivered_at", DateTime(timezone=True)),
    Column("last_error", Text),
    comment="latest heartbeat of each code location",
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True, comment="organization/NAME, dagster-tables or up"),
    Column("owner", Text, nullable=False, comment="purpose, process id and host of the holder"),
    Column("process", Text, comment="identity of the holder's process on its host; only of the lease up"),
    Column("token", Uuid, nullable=False, comment="new with every acquisition"),
    Column("backend_pid", Integer, comment="server process of the holder; the lease ends with it"),
    Column("acquired_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False, comment="postponed while the holder works"),
    comment="exclusive rights of processes, each until its holder releases it, ends or stops renewing it",
)

locks = Table(
    "locks",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("purpose", Text, primary_key=True, comment="allocation or alerts"),
    comment="rows that a transaction locks, so that one at a time writes the tables of the purpose",
)
