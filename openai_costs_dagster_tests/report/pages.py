"""Functions that build spend reports for tests of the HTML page."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.report.contents import OrganizationStatus, SpendReport
from openai_costs_dagster.report.cube import pack
from openai_costs_dagster.warehouse.report_queries import Cell, CurrentName

GENERATED_AT = dt.datetime(2026, 11, 25, 14, 5, tzinfo=dt.UTC)
LAST = GENERATED_AT.date()


def organization_status(name: str, **more: Any) -> OrganizationStatus:
    values: dict[str, Any] = {
        "organization": name,
        "title": name.title(),
        "first_day": LAST - 29 * ONE_DAY,
        "last_day": LAST,
        "last_settled_day": LAST - 3 * ONE_DAY,
        "missing_days": 0,
        "last_success_at": GENERATED_AT,
        "last_error": None,
        "grouping": "project,user,line_item,api_key",
        "month_to_date": Decimal("1234.56"),
        "forecast": Decimal("1500.00"),
        "forecast_low": Decimal("1400.00"),
        "forecast_high": Decimal("1600.00"),
        "required_actions": [],
        "dagster_path": f"/assets/openai/{name}/costs",
        **more,
    }
    return OrganizationStatus(**values)


def report_of(cells: list[Cell], *, days: int = 30, max_numbers: int = 100_000, **more: Any) -> SpendReport:
    first = LAST - (days - 1) * ONE_DAY
    names = sorted({cell.organization for cell in cells}) or ["acme"]
    values: dict[str, Any] = {
        "generated_at": GENERATED_AT,
        "first_day": first,
        "last_day": LAST,
        "is_simulated": False,
        "dagster_url": None,
        "organizations": [organization_status(name) for name in names],
        "cube": pack(cells, first, max_numbers),
        **more,
    }
    return SpendReport(**values)


def large_company(name: str, days: int, projects: int, users: int) -> Iterator[Cell]:
    """Yield cells of a company in which every user has spend on two models every day, with an API key per user."""
    for number in range(days):
        for project in range(projects):
            for user in range(users):
                for model in range(2):
                    amount = (
                        Decimal((number * 7919 + project * 104_729 + user * 1_299_709 + model * 15_485_863) % 10**10)
                        / 10**7
                    )
                    yield Cell(
                        name,
                        LAST - number * ONE_DAY,
                        f"proj_{name}_{project}",
                        "Chat completions",
                        f"gpt-{project % 5}-{model}",
                        f"user-{name}-{project}-{user}",
                        f"key_{name}_{project}_{user}",
                        amount,
                    )


def names_of(cells: list[Cell]) -> list[CurrentName]:
    """Return a display name for every user."""
    people = {(cell.organization, cell.user_id) for cell in cells if cell.user_id}
    return [CurrentName(organization, "user", user, f"Name of {user}") for organization, user in sorted(people)]


def data_in(page: str) -> Any:
    """Return the JSON data that is compressed in the page. Numbers are decimals."""
    found = re.search(r'id="data">([A-Za-z0-9+/=]+)<', page)
    assert found
    return json.loads(gzip.decompress(base64.b64decode(found[1])), parse_float=Decimal)
