"""What the views behind the assets look like, for Dagster's pages."""

from __future__ import annotations

import dagster as dg

from openai_costs_dagster.usage_records import COLUMNS, COUNTERS, FLAGS


def _schema(*columns: tuple[str, str, str]) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(name, kind, description=text) for name, kind, text in columns])


def _usage_column(name: str) -> tuple[str, str, str]:
    kind = "numeric" if name in COUNTERS else "boolean" if name in FLAGS else "text"
    what = "Counted by the endpoints that have it" if name in COUNTERS else "A group of the endpoints that have it"
    return name, kind, f"{what}, null elsewhere"


DAILY_COSTS = _schema(
    ("organization", "text", "The configured name"),
    ("usage_date", "date", "The UTC day that was billed (charge period)"),
    ("project_id", "text", "OpenAI's project"),
    ("project_name", "text", "Its newest known name"),
    ("line_item", "text", "The label on OpenAI's bill"),
    ("service", "text", "The product, as in Chat completions"),
    ("category", "text", "The model, or the tool's name where there is none"),
    ("subcategory", "text", "The kind, as in cached input"),
    ("model", "text", "The model, null without one"),
    ("api_key_id", "text", "The API key, where the API bills by key"),
    ("user_id", "text", "The user, where the API bills by user"),
    ("amount", "numeric", "Exact, in units of the currency"),
    ("currency", "text", "As billed, in lower case"),
    ("quantity", "numeric", "What was billed for, in quantity_unit"),
    ("quantity_unit", "text", "As in tokens; null where the API names none"),
    ("unit_price", "numeric", "Amount by quantity"),
    ("grouping", "text", "How fine the API served the day"),
    ("provisional", "boolean", "Whether the day may still change"),
    ("fetched_at", "timestamptz", "When it was read"),
)

DAILY_USAGE = _schema(
    ("organization", "text", "The configured name"),
    ("usage_date", "date", "The UTC day"),
    ("operation", "text", "The endpoint that counted, as in completions"),
    ("project_id", "text", "OpenAI's project"),
    ("user_id", "text", "The user"),
    ("api_key_id", "text", "The API key"),
    ("model", "text", "The model, as usage calls it"),
    ("provisional", "boolean", "Whether the day may still change"),
    ("fetched_at", "timestamptz", "When it was read"),
    *map(_usage_column, COLUMNS),
)

ALLOCATED_COSTS = _schema(
    ("organization", "text", "The configured name"),
    ("usage_date", "date", "The UTC day that was billed (charge period)"),
    ("project_id", "text", "OpenAI's project"),
    ("user_id", "text", "Who caused it; null for service accounts and what nothing explains"),
    ("user_email", "text", "Their address, where addresses are kept"),
    ("api_key_id", "text", "The API key that caused it"),
    ("model", "text", "The model, null without one"),
    ("line_item", "text", "The label on OpenAI's bill"),
    ("amount", "numeric", "The share, exact; the shares of a cost row add up to it"),
    ("currency", "text", "As billed, in lower case"),
    ("method", "text", "billed by user, shared out by usage, or unallocated"),
    ("service", "text", "The product, as in Chat completions"),
    ("project_name", "text", "The project's newest known name"),
    ("user_name", "text", "Their newest known name"),
)

DIRECTORY = _schema(
    ("organization", "text", "The configured name"),
    ("kind", "text", "project, user or api_key"),
    ("id", "text", "What costs and usage call it"),
    ("name", "text", "Its newest known name"),
    ("email", "text", "A user's address, where addresses are kept"),
    ("project_id", "text", "The project that an API key belongs to"),
    ("owner_id", "text", "Who an API key belongs to"),
    ("status", "text", "As OpenAI says; what is gone or archived keeps its name"),
    ("earlier_names", "text[]", "What it was called before"),
    ("last_seen_at", "timestamptz", "When it was last listed"),
)

FOCUS = dg.TableSchema(
    [
        dg.TableColumn(name, kind, description=text)
        for name, kind, text in (
            ("ProviderName", "text", "OpenAI: who sells it"),
            ("PublisherName", "text", "OpenAI: who made it"),
            ("InvoiceIssuerName", "text", "OpenAI: who sends the invoice"),
            ("ServiceProviderName", "text", "ProviderName's successor in FOCUS 1.4"),
            ("HostProviderName", "text", "OpenAI, of FOCUS 1.4: whose machines it runs on is not told"),
            ("BillingAccountId", "text", "OpenAI's organization id, or the configured name until it is known"),
            ("BillingAccountName", "text", "The organization's name for people"),
            ("SubAccountId", "text", "OpenAI's project; null where the charge belongs to none"),
            ("SubAccountName", "text", "Its newest known name, or its id"),
            ("InvoiceId", "text", "Null: the API names no invoice"),
            ("BillingPeriodStart", "timestamptz", "The month's first moment, UTC"),
            ("BillingPeriodEnd", "timestamptz", "The next month's first moment, exclusive"),
            ("ChargePeriodStart", "timestamptz", "The billed day's first moment, UTC"),
            ("ChargePeriodEnd", "timestamptz", "The next day's first moment, exclusive"),
            ("ChargeCategory", "text", "Usage, Credit or Adjustment"),
            ("ChargeClass", "text", "Null: OpenAI restates days in place and bills no corrections"),
            ("ChargeDescription", "text", "The label on OpenAI's bill; null where it has none"),
            ("ChargeFrequency", "text", "Usage-Based, or One-Time for credits and adjustments"),
            ("BilledCost", "numeric", "The amount, exact, in BillingCurrency"),
            ("EffectiveCost", "numeric", "The same: nothing is amortised"),
            ("ListCost", "numeric", "The same: OpenAI tells no list prices"),
            ("ContractedCost", "numeric", "The same: OpenAI tells only what is billed"),
            ("BillingCurrency", "text", "ISO 4217 in upper case; XXX where the API names none"),
            ("ConsumedQuantity", "numeric", "What was used, in ConsumedUnit; null where the API does not tell"),
            ("ConsumedUnit", "text", "In FOCUS' spelling, as in 1000 Tokens"),
            ("PricingCategory", "text", "Standard; null for credits and adjustments"),
            ("PricingQuantity", "numeric", "The same as ConsumedQuantity"),
            ("PricingUnit", "text", "The same as ConsumedUnit"),
            ("ListUnitPrice", "numeric", "Null: OpenAI tells no list prices"),
            ("ContractedUnitPrice", "numeric", "BilledCost by PricingQuantity, to 16 digits or more; never negative"),
            ("ServiceCategory", "text", "AI and Machine Learning"),
            ("ServiceSubcategory", "text", "One of FOCUS' values, as in Generative AI"),
            ("ServiceName", "text", "The product, as in Chat completions"),
            ("SkuId", "text", "Model, modality and kind, or the tool's name"),
            ("SkuMeter", "text", "The kind, as in cached input; the product where there is none"),
            ("SkuPriceId", "text", "The label on OpenAI's bill: a price for a SKU, with its tier"),
            ("SkuPriceDetails", "jsonb", "Model, modality, surface and long context, as far as the label tells"),
            ("ResourceId", "text", "The API key, where the API bills by key"),
            ("ResourceName", "text", "Its name, unless that holds an address"),
            ("ResourceType", "text", "API key, where there is a ResourceId"),
            ("RegionId", "text", "Null: OpenAI bills by no region"),
            ("RegionName", "text", "Null: OpenAI bills by no region"),
            ("Tags", "jsonb", "Organization, project, user, API key, model and grouping, prefixed openai/"),
            ("x_Organization", "text", "The configured name"),
            ("x_UsageDate", "date", "The billed UTC day"),
            ("x_Model", "text", "The model, null without one"),
            ("x_UserId", "text", "The user, where the API bills by user"),
            ("x_Grouping", "text", "How fine the API served the day"),
            ("x_Provisional", "boolean", "Whether the day may still change"),
            ("x_FetchedAt", "timestamptz", "When it was read, to the second"),
        )
    ]
)
