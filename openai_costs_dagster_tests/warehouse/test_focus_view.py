"""Tests of the view `openai_costs.focus`, which contains the costs in the FOCUS format, exact to the last digit."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openai_costs_dagster.days import DayRange
from openai_costs_dagster.spend.line_items import RULES_VERSION, classify
from openai_costs_dagster.warehouse import directory, focus, line_items, organizations
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.focus import Month, Selection

from ..conftest import NOW
from ..spend.strategies import any_amounts
from .windows import DAY, row, store

MARCH = Selection(Month(2026, 3), ["acme"])


def classify_line_items(connection: Connection, *labels: str) -> None:
    """Classify the stored line items as a synchronization does."""
    line_items.classify_new(connection, labels, classify, RULES_VERSION)


def fetch_rows(connection: Connection, columns: str) -> list[tuple[Any, ...]]:
    quoted = ", ".join(f'"{name}"' for name in columns.split())
    query = f'select {quoted} from openai_costs.focus order by "BilledCost"'  # noqa: S608  # our own names
    return connection.execute(query.encode()).fetchall()


def charge(connection: Connection, columns: str) -> tuple[Any, ...]:
    (found,) = fetch_rows(connection, columns)
    return found


@given(amounts=st.lists(st.none() | any_amounts, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_billed_cost_equals_daily_costs_to_the_last_digit(database: Database, amounts: list[Decimal | None]) -> None:
    with database.connect() as connection:
        store(connection, {DAY: [row(amount, f"item {place}") for place, amount in enumerate(amounts)]})
        found = connection.execute(
            """
            select sum("BilledCost"), sum("EffectiveCost"), sum("ListCost"), sum("ContractedCost"),
                (select sum(amount) from openai_costs.daily_costs)
            from openai_costs.focus
            """
        ).fetchone()
        assert found
        assert len(set(found)) == 1
        assert focus.days(connection, MARCH).left_out == sum(amount is None for amount in amounts)


@pytest.mark.parametrize(
    ("unit", "spelled"),
    [
        ("tokens", "Tokens"),
        ("1000_tokens", "1000 Tokens"),
        ("duration_seconds", "Seconds"),
        ("duration_minutes", "Minutes"),
        ("duration_hours", "Hours"),
        ("gibibyte_hours", "GiB-Hours"),
        ("images", "Images"),
        ("characters", "Characters"),
        ("requests", "Requests"),
        ("100_frobs", "100_frobs"),
        (None, "Units"),
    ],
)
def test_units_have_focus_spelling_and_unknown_units_are_unchanged(
    connection: Connection, unit: str | None, spelled: str
) -> None:
    store(connection, {DAY: [row("3", quantity=Decimal(12), quantity_unit=unit)]})
    assert charge(connection, "ConsumedQuantity ConsumedUnit PricingQuantity PricingUnit ContractedUnitPrice") == (
        12,
        spelled,
        12,
        spelled,
        Decimal("0.25"),
    )


def test_unit_without_a_quantity_is_none(connection: Connection) -> None:
    store(connection, {DAY: [row("3", quantity=None, quantity_unit="tokens")]})
    assert charge(connection, "ConsumedQuantity ConsumedUnit PricingUnit ContractedUnitPrice") == (None,) * 4


@pytest.mark.parametrize(
    ("amount", "quantity", "price"), [("0", "5", 0), ("3", "0", None), ("-3", "5", None), ("-3", "-6", Decimal("0.5"))]
)
def test_unit_price_is_never_negative(connection: Connection, amount: str, quantity: str, price: Any) -> None:
    store(connection, {DAY: [row(amount, quantity=Decimal(quantity), quantity_unit="tokens")]})
    assert charge(connection, "ContractedUnitPrice ListUnitPrice") == (price, None)


@pytest.mark.parametrize(
    ("label", "category", "frequency", "pricing"),
    [
        ("Promotional credit", "Credit", "One-Time", None),
        ("Refund", "Adjustment", "One-Time", None),
        ("gpt-5.5, input", "Usage", "Usage-Based", "Standard"),
        ("something new", "Usage", "Usage-Based", "Standard"),
        (None, "Usage", "Usage-Based", "Standard"),
    ],
)
@pytest.mark.parametrize("amount", ["-3", "3"])
def test_charge_category_depends_on_the_label_and_not_on_the_sign(
    connection: Connection, label: str | None, category: str, frequency: str, pricing: str | None, amount: str
) -> None:
    store(connection, {DAY: [row(amount, label)]})
    classify_line_items(connection, *([label] if label else []))
    assert charge(connection, "ChargeCategory ChargeFrequency PricingCategory ChargeClass ChargeDescription") == (
        category,
        frequency,
        pricing,
        None,
        label,
    )


@pytest.mark.parametrize(
    ("label", "service", "subcategory", "sku", "meter"),
    [
        ("gpt-5.5, input", "Chat completions", "Generative AI", "gpt-5.5, input", "input"),
        ("priority | gpt-5.5, output, long context", "Chat completions", "Generative AI", "gpt-5.5, output", "output"),
        ("gpt-image-1 image, output", "Images", "Generative AI", "gpt-image-1 image, output", "output"),
        ("text-embedding-3-small, input", "Embeddings", "Natural Language Processing", None, "input"),
        ("assistants api | file search", "File search", "AI Platforms", "File search", "File search"),
        ("whisper", "Audio transcriptions", "Natural Language Processing", "whisper", "Audio transcriptions"),
        ("brand new thing", "brand new thing", "Other (AI and Machine Learning)", "brand new thing", "brand new thing"),
    ],
)
def test_sku_is_the_same_in_every_tier_and_its_price_is_the_label(
    connection: Connection, label: str, service: str, subcategory: str, sku: str | None, meter: str
) -> None:
    store(connection, {DAY: [row("1", label)]})
    classify_line_items(connection, label)
    assert charge(connection, "ServiceName ServiceSubcategory SkuId SkuMeter SkuPriceId ServiceCategory") == (
        service,
        subcategory,
        sku or label,
        meter,
        label,
        "AI and Machine Learning",
    )


@pytest.mark.parametrize("label", [None, "", "  "])
def test_charge_without_a_label_stays_and_has_no_sku(connection: Connection, label: str | None) -> None:
    store(connection, {DAY: [row("1", label)]})
    assert charge(connection, "BilledCost ServiceName ChargeDescription SkuId SkuMeter SkuPriceId SkuPriceDetails") == (
        1,
        "Unlabelled",
        *(None,) * 5,
    )


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
def test_periods_are_utc_in_any_session_time_zone(connection: Connection, zone: str) -> None:
    store(connection, {dt.date(2025, 12, 31): [row("1")]})
    connection.execute(f"set timezone to '{zone}'".encode())
    found = charge(connection, "BillingPeriodStart BillingPeriodEnd ChargePeriodStart ChargePeriodEnd")
    assert [moment.astimezone(dt.UTC).isoformat() for moment in found] == [
        "2025-12-01T00:00:00+00:00",
        "2026-01-01T00:00:00+00:00",
        "2025-12-31T00:00:00+00:00",
        "2026-01-01T00:00:00+00:00",
    ]


def test_account_is_the_configured_name_until_the_openai_name_is_stored(connection: Connection) -> None:
    store(connection, {DAY: [row("1", project_id="")]})
    names = "BillingAccountId BillingAccountName SubAccountId SubAccountName x_Organization"
    assert charge(connection, names) == ("acme", "acme", None, None, "acme")
    organizations.register(connection, "acme", display_name="Acme Inc.", start_date=None)
    organizations.bind_openai_organization(connection, "acme", "org-1")
    assert charge(connection, names) == ("org-1", "Acme Inc.", None, None, "acme")


@pytest.mark.parametrize(("called", "shown"), [("storefront", "storefront"), ("ann@example.com", None)])
def test_resource_name_of_a_key_contains_no_address(connection: Connection, called: str, shown: str | None) -> None:
    store(connection, {DAY: [row("1", api_key_id="key_1", user_id="user-1")]})
    directory.store_names(connection, "acme", [directory.Entry("api_key", "key_1", called)], NOW)
    assert charge(connection, "ResourceId ResourceName ResourceType x_UserId Tags") == (
        "key_1",
        shown,
        "API key",
        "user-1",
        {
            "openai/organization": "acme",
            "openai/project_id": "proj_a",
            "openai/api_key_id": "key_1",
            "openai/user_id": "user-1",
            "openai/grouping": "project,line_item",
        },
    )


@pytest.mark.parametrize(("billed", "shown"), [("usd", "USD"), ("eur", "EUR"), (None, "XXX"), ("", "XXX")])
def test_currency_is_iso_4217_with_xxx_for_none(connection: Connection, billed: str | None, shown: str) -> None:
    store(connection, {DAY: [row("1", currency=billed)]})
    assert charge(connection, "BillingCurrency") == (shown,)


def test_month_reports_its_completeness(connection: Connection) -> None:
    organizations.register(connection, "acme", display_name=None, start_date=dt.date(2026, 3, 5))
    store(connection, {day: [row("1"), row(None, "x")] for day in DayRange(dt.date(2026, 3, 5), dt.date(2026, 3, 9))})
    store(connection, {dt.date(2026, 3, 10): []}, provisional=[dt.date(2026, 3, 10)])
    found = focus.days(connection, MARCH)
    assert (found.stored_days, found.provisional_days, found.missing_days, found.left_out) == (6, 1, 21, 5)


@pytest.mark.parametrize("text", ["2026-13", "2026-00", "2026-1", "26-01", "2026-W1", "2026-01-01", "", "2026/01"])
def test_invalid_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="month"):
        Month.parse(text)


def test_month_contains_its_days() -> None:
    assert str(Month.parse("2028-02").days) == "2028-02-01..2028-02-29"
    assert str(Month.of(NOW.date())) == "2026-03"
