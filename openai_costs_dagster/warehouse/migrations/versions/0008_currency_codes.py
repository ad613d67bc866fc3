"""Stored currency codes become trimmed and lower-case, and rows that share a key by that are added up.

Until now a code was stored as the API sent it, and every total counts rows of the code `usd` alone: a day that was
billed in `USD` counted nothing. Raw buckets keep what the API sent.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_CODE = r"nullif(lower(btrim(currency, E' \t\n\r\f\v')), '')"
_KEYS = {
    "cost_rows": "organization, usage_date, project_id, user_id, api_key_id, line_item, {currency}, quantity_unit",
    "user_costs": "organization, usage_date, user_id, line_item, {currency}",
    "allocations": "organization, usage_date, project_id, user_id, api_key_id, line_item, {currency}, method",
}
_SUMS = {"cost_rows": ("amount", "quantity"), "user_costs": ("amount",), "allocations": ("amount",)}


def upgrade() -> None:
    """Apply."""
    for table, key in _KEYS.items():
        _respell(table, key, _SUMS[table])
    _recount_cost_days()
    _recount_allocation_days()
    _respell_revisions()
    op.create_index(
        "cost_rows_of_other_currencies",
        "cost_rows",
        ["organization", "usage_date"],
        schema="openai_costs",
        postgresql_where=sa.text("currency is distinct from 'usd'"),
    )


def _respell(table: str, key: str, sums: tuple[str, ...]) -> None:
    """Replaces the days of a table that hold a code of another spelling; `affected_<table>` names them.

    Sums go through `trim_scale`, because amounts are stored without trailing zeros.
    """
    op.execute(
        f"""
        create temporary table affected_{table} on commit drop as
        select distinct organization, usage_date
        from openai_costs.{table}
        where currency is distinct from {_CODE}
        """  # noqa: S608  # our own names
    )
    columns = f"{key.format(currency='currency')}, {', '.join(sums)}"
    added = ", ".join(f"trim_scale(sum({one}))" for one in sums)
    op.execute(
        f"""
        with removed as (
            delete from openai_costs.{table} as stored
            using affected_{table} as affected
            where stored.organization = affected.organization and stored.usage_date = affected.usage_date
            returning stored.*
        )
        insert into openai_costs.{table} ({columns})
        select {key.format(currency=_CODE)}, {added}
        from removed
        group by {key.format(currency=_CODE)}
        """  # noqa: S608  # our own names
    )


def _recount_cost_days() -> None:
    op.execute(
        """
        update openai_costs.cost_days as day
        set row_count = counted.row_count, amount_usd = counted.amount_usd
        from (
            select
                cost.organization,
                cost.usage_date,
                count(*) as row_count,
                coalesce(trim_scale(sum(cost.amount) filter (where cost.currency = 'usd')), 0) as amount_usd
            from openai_costs.cost_rows as cost
            join affected_cost_rows using (organization, usage_date)
            group by cost.organization, cost.usage_date
        ) as counted
        where day.organization = counted.organization and day.usage_date = counted.usage_date
        """
    )


def _recount_allocation_days() -> None:
    op.execute(
        """
        update openai_costs.allocation_days as day
        set
            gross_usd = counted.gross_usd,
            to_users_usd = counted.to_users_usd,
            to_keys_usd = counted.to_keys_usd
        from (
            select
                share.organization,
                share.usage_date,
                coalesce(trim_scale(sum(abs(share.amount))), 0) as gross_usd,
                coalesce(trim_scale(sum(abs(share.amount)) filter (where share.user_id is not null)), 0)
                    as to_users_usd,
                coalesce(trim_scale(sum(abs(share.amount)) filter (where share.api_key_id is not null)), 0)
                    as to_keys_usd
            from openai_costs.allocations as share
            join affected_allocations using (organization, usage_date)
            where share.currency = 'usd'
            group by share.organization, share.usage_date
        ) as counted
        where day.organization = counted.organization and day.usage_date = counted.usage_date
        """
    )


def _respell_revisions() -> None:
    """A change of spelling alone was stored as two revisions, which cancel out and go."""
    op.execute(
        f"""
        with removed as (
            delete from openai_costs.revisions as revision
            where exists (
                select
                from openai_costs.revisions as other
                where
                    other.organization = revision.organization
                    and other.usage_date = revision.usage_date
                    and other.currency is distinct from {_CODE.replace("currency", "other.currency")}
            )
            returning revision.*
        )
        insert into openai_costs.revisions (
            revision_id, organization, usage_date, project_id, line_item, api_key_id, user_id, currency,
            old_amount, new_amount, compared_by, observed_at
        )
        overriding system value
        select
            min(revision_id), organization, usage_date, project_id, line_item, api_key_id, user_id, {_CODE},
            trim_scale(sum(old_amount)), trim_scale(sum(new_amount)), compared_by, observed_at
        from removed
        group by
            organization, usage_date, project_id, line_item, api_key_id, user_id, {_CODE}, compared_by, observed_at
        having sum(old_amount) <> sum(new_amount)
        """  # noqa: S608  # our own names
    )


def downgrade() -> None:
    """Take back. Spellings stay: the API's own are in the raw buckets."""
    op.drop_index("cost_rows_of_other_currencies", "cost_rows", schema="openai_costs")
