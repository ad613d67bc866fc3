"""Fills the warehouse with rows of many organizations, day by day, in the order in which daily runs store them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import psycopg

from openai_costs_dagster.days import ONE_DAY

_LINE_ITEMS = """
insert into openai_costs.line_items
select
    format('gpt-%s, %s', model, kind), 'Chat completions', 'Tokens', kind, format('gpt-%s', model), null, null, false, 1
from generate_series(1, 8) as model, unnest(array['input', 'cached input', 'output']) as kind
"""
_ORGANIZATIONS = """
insert into openai_costs.organizations (organization, start_date, earliest_day)
select format('org%%s', lpad(n::text, 4, '0')), %(first)s, %(first)s from generate_series(1, %(organizations)s) as n
"""
_DAYS = """
insert into openai_costs.cost_days
select organization, %(day)s, 1, 'project,user,line_item,api_key', false, now(), %(rows)s, %(rows)s, 0, 100, true, 0
from openai_costs.organizations
"""
_ROWS = """
insert into openai_costs.cost_rows
select
    organization, %(day)s, format('proj_%%s', r %% 10), format('user-%%s', r %% 25), format('key_%%s', r %% 40),
    format('gpt-%%s, %%s', 1 + r %% 8, (array['input', 'cached input', 'output'])[1 + r %% 3]),
    'usd', 'input_tokens',
    ((random() * 10)::numeric + 0.000000000000000000123456789)::numeric, (random() * 1000000)::int
from (select organization from openai_costs.organizations order by organization) as organizations,
    generate_series(1, %(rows)s) as r
"""


@dataclass(frozen=True)
class Size:
    """The number of organizations, UTC days and rows. The newest day is yesterday."""

    organizations: int
    days: int
    rows: int
    """The number of rows per organization and day."""

    @property
    def total_rows(self) -> int:
        """The total number of rows."""
        return self.organizations * self.days * self.rows

    @property
    def first(self) -> dt.date:
        """The oldest day."""
        return dt.datetime.now(dt.UTC).date() - self.days * ONE_DAY


def fill(connection: psycopg.Connection, size: Size) -> None:
    """Fill an empty, prepared warehouse. Each day is a separate transaction."""
    connection.execute(_LINE_ITEMS)
    connection.execute(_ORGANIZATIONS, {"organizations": size.organizations, "first": size.first})
    for number in range(size.days):
        values = {"day": size.first + number * ONE_DAY, "rows": size.rows}
        connection.execute(_DAYS, values)
        connection.execute(_ROWS, values)
    connection.execute("vacuum analyze openai_costs.cost_rows")
    connection.execute("vacuum analyze openai_costs.cost_days")
