"""The contender floor: fetch, decode, delete and COPY in one transaction, without checks or history."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import httpx2
import msgspec
import psycopg

from benchmarks.turns import Load, run_stages
from benchmarks.workload import Order, admin_key

_TABLE = """
create table costs (
    organization text not null, usage_date date not null, project_id text, user_id text, api_key_id text,
    line_item text, currency text, quantity_unit text, amount numeric, quantity numeric
);
create index on costs (organization, usage_date)
"""


class _Amount(msgspec.Struct):
    value: Decimal
    currency: str


class _Row(msgspec.Struct):
    amount: _Amount
    project_id: str | None
    user_id: str | None
    api_key_id: str | None
    line_item: str | None
    quantity: Decimal | None
    quantity_unit: str | None


class _Bucket(msgspec.Struct):
    start_time: int
    results: list[_Row]


class _Page(msgspec.Struct):
    data: list[_Bucket]
    next_page: str | None


def _prepare(order: Order) -> Load:
    connection = psycopg.connect(order.database, autocommit=True)
    connection.execute(_TABLE)
    connection.autocommit = False

    def load(stage: str) -> None:
        with httpx2.Client(base_url=order.base_url(stage), trust_env=False) as client:
            for organization in order.organizations:
                _load(connection, client, order, organization)

    return load


def _load(connection: psycopg.Connection, client: httpx2.Client, order: Order, organization: str) -> None:
    query, headers = order.query(), {"Authorization": f"Bearer {admin_key(organization)}"}
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            "delete from costs where organization = %s and usage_date between %s and %s",
            (organization, order.first, order.last),
        )
        with cursor.copy("copy costs from stdin") as copy:
            page: _Page | None = None
            while page is None or page.next_page:
                token = [("page", page.next_page or "")] if page else []
                response = client.get("/organization/costs", params=(*query, *token), headers=headers)
                response.raise_for_status()
                page = msgspec.json.decode(response.content, type=_Page)
                for bucket in page.data:
                    day = dt.datetime.fromtimestamp(bucket.start_time, dt.UTC).date()
                    for row in bucket.results:
                        copy.write_row(
                            (
                                organization,
                                day,
                                row.project_id,
                                row.user_id,
                                row.api_key_id,
                                row.line_item,
                                row.amount.currency,
                                row.quantity_unit,
                                row.amount.value,
                                row.quantity,
                            )
                        )


if __name__ == "__main__":
    run_stages(_prepare)
