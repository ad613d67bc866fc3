"""Unique indexes hold keys of the API's texts: a B-tree entry may have 2,704 bytes, and a name any length.

`line_items` and `projects` keep their keys, because the views rely on them: longer texts stay out of those tables
(docs/decisions/0025).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_SCHEMA = "openai_costs"
# A short text is its own key, which costs an upsert next to nothing; the key of a long one is longer than any of those.
# `decode` undoes what `replace` did: together they give the text's bytes, and unlike `convert_to` both are immutable.
_FUNCTION = r"""
create function openai_costs.text_key(value text) returns text
language sql immutable parallel safe
return case
    when octet_length(value) <= 128 then value
    else left(value, 80) || encode(sha256(decode(replace(value, E'\\', E'\\\\'), 'escape')), 'hex')
end
"""
_FINDING = ("project_id", "service", "model", "api_key_id", "user_id", "line_item")


def upgrade() -> None:
    """Apply."""
    op.execute(_FUNCTION)
    op.execute(
        "comment on function openai_costs.text_key is 'a text of any length, for unique indexes: at most 384 bytes'"
    )
    op.execute("grant execute on function openai_costs.text_key to public")
    _by_key(
        "organizations_openai_organization_id_key",
        "organizations",
        [],
        ["openai_organization_id"],
        "organizations_once",
    )
    _by_key("directory_entries_pkey", "directory_entries", ["organization", "kind"], ["id"], "directory_entries_once")
    _by_key("known_names_once", "known_names", ["organization", "kind"], ["id", "name", "email"], "known_names_once")
    _by_key("forgotten_users_pkey", "forgotten_users", [], ["user_id"], "forgotten_users_once")
    name = "anomaly_findings_one_per_series_and_day"
    _by_key(name, "anomaly_findings", ["organization", "usage_date", "level"], _FINDING, name)
    _by_key("outbox_dedup_key_key", "outbox", [], ["dedup_key"], "outbox_once")


def _by_key(constraint: str, table: str, plain: list[str], texts: list[str] | tuple[str, ...], index: str) -> None:
    op.drop_constraint(constraint, table, schema=_SCHEMA)
    op.create_index(
        index,
        table,
        [*plain, *(sa.text(f"openai_costs.text_key({name})") for name in texts)],
        unique=True,
        schema=_SCHEMA,
        postgresql_nulls_not_distinct=index in {"known_names_once", "anomaly_findings_one_per_series_and_day"},
    )


def downgrade() -> None:
    """Take back. Fails where a text is stored that the former keys cannot hold."""
    for index, table in (
        ("organizations_once", "organizations"),
        ("directory_entries_once", "directory_entries"),
        ("known_names_once", "known_names"),
        ("forgotten_users_once", "forgotten_users"),
        ("anomaly_findings_one_per_series_and_day", "anomaly_findings"),
        ("outbox_once", "outbox"),
    ):
        op.drop_index(index, table, schema=_SCHEMA)
    op.create_unique_constraint(
        "organizations_openai_organization_id_key", "organizations", ["openai_organization_id"], schema=_SCHEMA
    )
    op.create_primary_key("directory_entries_pkey", "directory_entries", ["organization", "kind", "id"], schema=_SCHEMA)
    op.create_unique_constraint(
        "known_names_once",
        "known_names",
        ["organization", "kind", "id", "name", "email"],
        schema=_SCHEMA,
        postgresql_nulls_not_distinct=True,
    )
    op.create_primary_key("forgotten_users_pkey", "forgotten_users", ["user_id"], schema=_SCHEMA)
    op.create_unique_constraint(
        "anomaly_findings_one_per_series_and_day",
        "anomaly_findings",
        ["organization", "usage_date", "level", *_FINDING],
        schema=_SCHEMA,
        postgresql_nulls_not_distinct=True,
    )
    op.create_unique_constraint("outbox_dedup_key_key", "outbox", ["dedup_key"], schema=_SCHEMA)
    for view in ("focus", "daily_costs", "user_spend", "allocated_costs", "anomalies", "directory"):
        op.execute(f"drop view if exists openai_costs.{view}")
    op.execute("drop function openai_costs.text_key")
