"""Give tables, columns and values the names of the documentation; every row is kept."""

from __future__ import annotations

from collections.abc import Iterable

from alembic import op

revision = "0012"
down_revision = "0011"

_TABLES = {
    "readings": "sync_windows",
    "program": "schema_metadata",
    "known_names": "directory_names",
    "absences": "missing_endpoints",
    "troubles": "open_failures",
    "refusals": "refused_groupings",
}
"""Renamed tables, by their old names."""

_COLUMNS = (
    ("organizations", "first_contact_at", "onboarded_at"),
    ("organizations", "first_judged_run", "first_evaluated_run"),
    ("sync_windows", "reading_id", "sync_window_id"),
    ("sync_windows", "asked_by", "trigger"),
    ("cost_days", "reading_id", "sync_window_id"),
    ("projects", "seen_at", "observed_at"),
    ("refused_groupings", "seen_at", "observed_at"),
    ("anomaly_findings", "found_by", "trigger"),
    ("anomaly_findings", "judged_at", "evaluated_at"),
    ("missing_endpoints", "what", "endpoint"),
    ("missing_endpoints", "said", "message"),
    ("missing_endpoints", "seen_at", "observed_at"),
    ("directory_entries", "seen_at", "observed_at"),
    ("allocation_days", "reading_id", "sync_window_id"),
    ("outbox", "sentence", "message"),
    ("outbox", "seen", "acknowledged"),
    ("open_failures", "what", "kind"),
    ("open_failures", "sentence", "message"),
    ("openai_budgets", "seen_at", "observed_at"),
    ("budget_states", "known_to", "complete_to"),
)
"""Renamed columns: the table under its new name, the old and the new name of the column."""

_VIEW_COLUMNS = (
    ("alerts", "sentence", "message"),
    ("alerts", "seen", "acknowledged"),
    ("anomalies", "found_by", "trigger"),
    ("anomalies", "judged_at", "evaluated_at"),
    ("budget_status", "known_to", "complete_to"),
)
"""Renamed columns of views, because `create or replace view` cannot rename a column."""

_INDEXES = {
    "absences_pkey": "missing_endpoints_pkey",
    "known_names_once": "directory_names_once",
    "program_pkey": "schema_metadata_pkey",
    "readings_by_organization": "sync_windows_by_organization",
    "readings_pkey": "sync_windows_pkey",
    "refusals_by_organization": "refused_groupings_by_organization",
    "refusals_pkey": "refused_groupings_pkey",
    "troubles_pkey": "open_failures_pkey",
}
_SEQUENCES = {
    "readings_reading_id_seq": "sync_windows_sync_window_id_seq",
    "refusals_refusal_id_seq": "refused_groupings_refusal_id_seq",
}

_VALUES = (
    ("sync_windows", "trigger", "refresh", "schedule"),
    ("sync_windows", "trigger", "person", "manual"),
    ("anomaly_findings", "trigger", "refresh", "schedule"),
    ("anomaly_findings", "trigger", "person", "manual"),
    ("anomaly_findings", "reason", "seldom", "intermittent"),
    ("anomaly_findings", "reason", "noticed", "minor"),
    ("open_failures", "kind", "arrivals", "late_days"),
)
"""Renamed values: table, column, the old and the new value."""

_TABLE_COMMENTS = {
    "sync_windows": "one row per synchronization of a window of days",
    "cost_days": "one row per stored day of an organization; a day is always replaced as a whole",
    "cost_rows": "one row per combination of dimensions; a day is summed, then replaced as a whole",
    "revisions": "changes of amounts of settled days",
    "line_items": "classification of each line item",
    "projects": "latest name of each project",
    "refused_groupings": "groupings that the API refused, which later runs do not request",
    "anomaly_findings": "unusual days of a series, one finding per cause",
    "anomaly_feedback": "feedback on findings, which later evaluations apply",
    "usage_days": "one row per stored day of a usage endpoint",
    "usage_rows": "usage counters; no amounts of money",
    "missing_endpoints": "endpoints that the server does not have, which later runs do not request",
    "directory_entries": "projects, users and API keys of the latest synchronization",
    "directory_names": "all names that a project, user or API key ever had; the latest is the current one",
    "forgotten_users": "users whose name and email address are never stored again, in any organization",
    "user_cost_days": "days with totals per user, stored if the costs themselves name no users",
    "user_costs": "costs by user and line item; an input of allocation that is never added to costs",
    "allocations": "cost rows allocated to users and API keys; the allocations of a row add up to its amount",
    "allocation_days": "one row per allocated day",
    "schema_metadata": "facts about the schema itself, for example the version of the views",
    "outbox": "alerts, each written in the transaction that records its cause",
    "messages": "messages to channels; alerts with one cause share a message",
    "incidents": "anomalies of a series over consecutive days",
    "open_failures": "failures that have not recovered yet",
    "openai_budgets": "spend limits and alerts that are configured at OpenAI, imported as budgets",
    "budget_states": "latest evaluation of each budget in each period; US dollars",
    "sensor_ticks": "latest tick of each sensor in each code location",
    "dead_runs": "runs whose process died, as detected by the run monitor",
    "heartbeats": "latest heartbeat of each code location",
}
_COLUMN_COMMENTS = {
    "organizations.organization": "configured name",
    "organizations.openai_organization_id": "from the configuration or a response of the API",
    "organizations.start_date": "configured start date",
    "organizations.earliest_day": "earliest day that the API served at onboarding; never changes once data is stored",
    "organizations.onboarded_at": "time at which earliest_day was determined",
    "organizations.first_evaluated_run": "first Dagster run that evaluated any day; its findings never alert",
    "sync_windows.trigger": "schedule, backfill or manual",
    "sync_windows.run_id": "Dagster run",
    "cost_days.received_count": "rows before those with the same key were summed",
    "cost_days.reconciled": "whether grouped and ungrouped totals agree; null if OpenAI returned no ungrouped total",
    "cost_days.reconcile_difference": "grouped minus ungrouped total, in the currency with the largest difference",
    "raw_buckets.source": "endpoint, for example costs",
    "raw_buckets.digest": "SHA-256 of the uncompressed body",
    "raw_buckets.body": "bucket of the day as returned by the API, compressed with zlib",
    "line_items.rules_version": "version of the classification rules",
    "refused_groupings.first_day": "null: no first day",
    "refused_groupings.last_day": "null: no last day",
    "anomaly_findings.level": "dimensions of the series, for example project and model",
    "anomaly_findings.model": "model, or the tool of costs without a model",
    "anomaly_findings.impact": "actual minus expected, US dollars",
    "anomaly_findings.score": "difference in standard deviations",
    "anomaly_findings.reason": "detection rule",
    "anomaly_findings.worth_alerting": "whether the impact is large enough for an alert; mutes apply in the view",
    "anomaly_findings.trigger": "trigger of the first run with the finding: schedule, backfill, manual",
    "anomaly_findings.line_item": "line item of a changed unit price",
    "anomaly_feedback.line_item": "line item of a changed unit price",
    "anomaly_feedback.anomaly_id": "finding that the feedback was given to; the finding may no longer exist",
    "usage_days.grouping": "dimensions that the API served",
    "usage_rows.groups": "dimensions of the endpoint that have no column",
    "missing_endpoints.endpoint": "URL of the endpoint",
    "missing_endpoints.message": "error message of the API",
    "directory_entries.project_id": "project of an API key",
    "directory_entries.owner_id": "owner of an API key: a user or a service account",
    "allocation_days.sync_window_id": "sync window of the allocated costs",
    "allocation_days.gross_usd": "sum of the absolute amounts of all allocations",
    "allocation_days.to_users_usd": "part of gross_usd that is allocated to users",
    "allocation_days.to_keys_usd": "part of gross_usd that is allocated to API keys",
    "allocation_days.unsplit_line_items": "line items that allocation does not split by user totals",
    "outbox.dedup_key": "identity of the alert; a second alert with the same key is never recorded",
    "outbox.organization": "null for alerts without an organization, for example tests",
    "outbox.event": "opened, grown, ended, crossed, failed, recovered or another change",
    "outbox.facts": "ordered pairs of label and value",
    "outbox.page": "path of a page in the Dagster UI",
    "outbox.acknowledged": "recorded without being sent to anyone",
    "outbox.routed_at": "time at which the messages of the alert were created",
    "messages.channel": "name of the channel; never its address",
    "messages.idempotency_key": "identical in every attempt",
    "messages.organization": "null for messages about several organizations, or none",
    "messages.due_at": "earliest time of the next attempt; during an attempt, the end of its lease",
    "messages.attempts": "number of attempts that were started",
    "incidents.alerted_impact": "US dollars a day at the latest alert; twice this amount alerts again",
    "incidents.alerted_day": "day of alerted_impact",
    "incidents.announced": "whether an alert was sent",
    "open_failures.kind": "sync or late_days",
    "open_failures.reason": "cause of the failure; another cause alerts again",
    "open_failures.days": "failed days, oldest first",
    "open_failures.announced_at": "time of the alert; null if none was sent",
    "openai_budgets.amount_limit": "US dollars per month",
    "openai_budgets.is_hard": "whether OpenAI refuses requests above the limit",
    "budget_states.period_end": "last day of the period",
    "budget_states.complete_to": "last complete day in spent",
    "sensor_ticks.location": "Dagster code location",
    "sensor_ticks.host": "machine or container of the code server",
    "sensor_ticks.organizations": "organizations that the sensor covers",
    "sensor_ticks.last_tick_at": "time of the last completed tick",
    "sensor_ticks.last_error": "error of the last tick; null if the tick succeeded",
    "dead_runs.run_id": "Dagster run",
    "dead_runs.organization": "null for runs of assets that all organizations share",
    "dead_runs.ended_at": "time at which Dagster marked the run as failed",
    "dead_runs.is_retried": "whether Dagster retries the run",
    "heartbeats.location": "Dagster code location",
    "heartbeats.address": "source of heartbeat_url, for example an environment variable; never the URL itself",
    "heartbeats.day": "complete UTC day that the heartbeat reports",
}


def upgrade() -> None:
    """Rename tables, columns, indexes, sequences and values, and replace the comments."""
    for old, new in _TABLES.items():
        op.execute(f"alter table openai_costs.{old} rename to {new}")
    for table, old, new in _COLUMNS:
        op.execute(f"alter table openai_costs.{table} rename column {old} to {new}")
    _rename_columns_of_views(_VIEW_COLUMNS)
    for old, new in _INDEXES.items():
        op.execute(f"alter index openai_costs.{old} rename to {new}")
    for old, new in _SEQUENCES.items():
        op.execute(f"alter sequence openai_costs.{old} rename to {new}")
    for table, column, old, new in _VALUES:
        _replace(table, column, old, new)
    for table, comment in _TABLE_COMMENTS.items():
        op.execute(f"comment on table openai_costs.{table} is {_literal(comment)}")
    for name, comment in _COLUMN_COMMENTS.items():
        op.execute(f"comment on column openai_costs.{name} is {_literal(comment)}")


def downgrade() -> None:
    """Restore the old names and values. Comments keep their new text, which no release reads."""
    for table, column, old, new in _VALUES:
        _replace(table, column, new, old)
    for old, new in _SEQUENCES.items():
        op.execute(f"alter sequence openai_costs.{new} rename to {old}")
    for old, new in _INDEXES.items():
        op.execute(f"alter index openai_costs.{new} rename to {old}")
    _rename_columns_of_views((view, new, old) for view, old, new in _VIEW_COLUMNS)
    for table, old, new in _COLUMNS:
        op.execute(f"alter table openai_costs.{table} rename column {new} to {old}")
    for old, new in _TABLES.items():
        op.execute(f"alter table openai_costs.{new} rename to {old}")


def _rename_columns_of_views(columns: Iterable[tuple[str, str, str]]) -> None:
    """Rename columns of views that exist. Migrations run before the views are created in an empty database."""
    connection = op.get_bind()
    for view, old, new in columns:
        exists = connection.exec_driver_sql(
            "select exists (select from information_schema.columns"
            " where table_schema = 'openai_costs' and table_name = %(view)s and column_name = %(column)s)",
            {"view": view, "column": old},
        ).scalar()
        if exists:
            op.execute(f"alter view openai_costs.{view} rename column {old} to {new}")


def _replace(table: str, column: str, old: str, new: str) -> None:
    op.execute(f"update openai_costs.{table} set {column} = '{new}' where {column} = '{old}'")  # noqa: S608  # all names are constants


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
