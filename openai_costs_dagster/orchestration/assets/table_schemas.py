"""Column schemas of the database views that show the rows of the assets.

Dagster shows the schemas on the asset pages.
"""

from __future__ import annotations

import dagster as dg

from openai_costs_dagster.usage_records import COLUMNS, COUNTERS, FLAGS


def _schema(*columns: tuple[str, str, str]) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(name, kind, description=text) for name, kind, text in columns])


def _usage_column(name: str) -> tuple[str, str, str]:
    kind = "numeric" if name in COUNTERS else "boolean" if name in FLAGS else "text"
    role = "A counter" if name in COUNTERS else "A dimension"
    return name, kind, f"{role} of some endpoints; null for the others"


DAILY_COSTS = _schema(
    ("organization", "text", "The configured name of the organization"),
    ("usage_date", "date", "The UTC day that was billed (charge period)"),
    ("project_id", "text", "OpenAI's project"),
    ("project_name", "text", "The latest known name of the project"),
    ("line_item", "text", "The label on OpenAI's bill"),
    ("service", "text", "The product, for example Chat completions"),
    ("category", "text", "The model, or the name of the tool if there is no model"),
    ("subcategory", "text", "The kind of usage, for example cached input"),
    ("model", "text", "The model; null without a model"),
    ("api_key_id", "text", "The API key, if OpenAI bills by key"),
    ("user_id", "text", "The user, if OpenAI bills by user"),
    ("amount", "numeric", "The exact amount, in units of the currency"),
    ("currency", "text", "The billed currency, in lower case"),
    ("quantity", "numeric", "The billed quantity, in quantity_unit"),
    ("quantity_unit", "text", "The unit of the quantity, for example tokens; null if OpenAI returns no unit"),
    ("unit_price", "numeric", "The amount divided by the quantity"),
    ("grouping", "text", "The dimensions by which OpenAI grouped the day"),
    ("provisional", "boolean", "Whether the day may still change"),
    ("fetched_at", "timestamptz", "The time at which the day was requested from OpenAI"),
    ("surface", "text", "The product or tier in the label, for example priority; null if the label has none"),
    ("modality", "text", "The modality in the label, for example audio; null if the label has none"),
    ("long_context", "boolean", "Whether the line item bills long context"),
)

DAILY_USAGE = _schema(
    ("organization", "text", "The configured name of the organization"),
    ("usage_date", "date", "The UTC day of the usage"),
    ("operation", "text", "The usage endpoint, for example completions"),
    ("project_id", "text", "OpenAI's project"),
    ("user_id", "text", "The id of the user"),
    ("api_key_id", "text", "The id of the API key"),
    ("model", "text", "The model name of the usage endpoint"),
    ("provisional", "boolean", "Whether the day may still change"),
    ("fetched_at", "timestamptz", "The time at which the day was requested from OpenAI"),
    *map(_usage_column, COLUMNS),
)

ALLOCATED_COSTS = _schema(
    ("organization", "text", "The configured name of the organization"),
    ("usage_date", "date", "The UTC day that was billed (charge period)"),
    ("project_id", "text", "OpenAI's project"),
    ("user_id", "text", "The user who caused the cost; null for service accounts and unallocated costs"),
    ("user_email", "text", "The email address of the user, if addresses are stored"),
    ("api_key_id", "text", "The API key that caused the cost"),
    ("model", "text", "The model; null without a model"),
    ("line_item", "text", "The label on OpenAI's bill"),
    ("amount", "numeric", "The exact share of a cost row; the shares of a row add up to its amount"),
    ("currency", "text", "The billed currency, in lower case"),
    (
        "method",
        "text",
        "How the amount was allocated: billed (by OpenAI for this user), usage (allocated by usage), or unallocated",
    ),
    ("service", "text", "The product, for example Chat completions"),
    ("project_name", "text", "The latest known name of the project"),
    ("user_name", "text", "The latest known name of the user"),
)

DIRECTORY = _schema(
    ("organization", "text", "The configured name of the organization"),
    ("kind", "text", "The kind of the entry: project, user or api_key"),
    ("id", "text", "The id of the entry in costs and usage"),
    ("name", "text", "The latest known name of the project, user or API key"),
    ("email", "text", "The email address of a user, if addresses are stored"),
    ("project_id", "text", "The project that an API key belongs to"),
    ("owner_id", "text", "The owner of an API key"),
    ("status", "text", "The status that OpenAI returns; deleted and archived entries keep their names"),
    ("earlier_names", "text[]", "The names before the latest one"),
    ("last_seen_at", "timestamptz", "The last time at which OpenAI listed the entry"),
)

FOCUS = dg.TableSchema(
    [
        dg.TableColumn(name, kind, description=text)
        for name, kind, text in (
            ("ProviderName", "text", "OpenAI, the seller"),
            ("PublisherName", "text", "OpenAI, the producer"),
            ("InvoiceIssuerName", "text", "OpenAI, the sender of the invoice"),
            ("ServiceProviderName", "text", "ProviderName's successor in FOCUS 1.4"),
            (
                "HostProviderName",
                "text",
                "OpenAI; FOCUS 1.4. The API does not return the operator of the servers",
            ),
            ("BillingAccountId", "text", "OpenAI's organization id, or the configured name until it is known"),
            ("BillingAccountName", "text", "The title of the organization"),
            ("SubAccountId", "text", "The project at OpenAI; null for charges without a project"),
            ("SubAccountName", "text", "The latest known name of the project, or the id"),
            ("InvoiceId", "text", "Null: the API returns no invoice id"),
            ("BillingPeriodStart", "timestamptz", "The start of the month in UTC"),
            ("BillingPeriodEnd", "timestamptz", "The start of the next month in UTC, exclusive"),
            ("ChargePeriodStart", "timestamptz", "The start of the billed day in UTC"),
            ("ChargePeriodEnd", "timestamptz", "The start of the next day in UTC, exclusive"),
            ("ChargeCategory", "text", "Usage, Credit or Adjustment"),
            ("ChargeClass", "text", "Null: OpenAI restates days in place and bills no corrections"),
            ("ChargeDescription", "text", "The label on OpenAI's bill; null without a label"),
            ("ChargeFrequency", "text", "Usage-Based, or One-Time for credits and adjustments"),
            ("BilledCost", "numeric", "The amount, exact, in BillingCurrency"),
            ("EffectiveCost", "numeric", "Equal to BilledCost: nothing is amortized"),
            ("ListCost", "numeric", "Equal to BilledCost: the API returns no list prices"),
            ("ContractedCost", "numeric", "Equal to BilledCost: the API returns billed amounts only"),
            ("BillingCurrency", "text", "ISO 4217 in upper case; XXX if the API returns no currency"),
            ("ConsumedQuantity", "numeric", "The used quantity, in ConsumedUnit; null if the API returns none"),
            ("ConsumedUnit", "text", "The unit in the spelling of FOCUS, for example 1000 Tokens"),
            ("PricingCategory", "text", "Standard; null for credits and adjustments"),
            ("PricingQuantity", "numeric", "Equal to ConsumedQuantity"),
            ("PricingUnit", "text", "Equal to ConsumedUnit"),
            ("ListUnitPrice", "numeric", "Null: the API returns no list prices"),
            (
                "ContractedUnitPrice",
                "numeric",
                "BilledCost divided by PricingQuantity, to 16 or more digits, not negative",
            ),
            ("ServiceCategory", "text", "AI and Machine Learning"),
            ("ServiceSubcategory", "text", "A value defined by FOCUS, for example Generative AI"),
            ("ServiceName", "text", "The product, for example Chat completions"),
            ("SkuId", "text", "Model, modality and kind, or the name of the tool"),
            ("SkuMeter", "text", "The kind of usage, for example cached input; the product for charges without a kind"),
            ("SkuPriceId", "text", "The label on OpenAI's bill: a price for a SKU, with its tier"),
            (
                "SkuPriceDetails",
                "jsonb",
                "Model, modality, surface and long context, as far as the label contains them",
            ),
            ("ResourceId", "text", "The API key, if OpenAI bills by key"),
            ("ResourceName", "text", "The name of the API key, unless it contains an email address"),
            ("ResourceType", "text", "API key, if there is a ResourceId"),
            ("RegionId", "text", "Null: OpenAI does not bill by region"),
            ("RegionName", "text", "Null: OpenAI does not bill by region"),
            ("Tags", "jsonb", "Organization, project, user, API key, model and grouping, as tags prefixed openai/"),
            ("x_Organization", "text", "The configured name of the organization"),
            ("x_UsageDate", "date", "The billed UTC day"),
            ("x_Model", "text", "The model; null without a model"),
            ("x_UserId", "text", "The user, if OpenAI bills by user"),
            ("x_Grouping", "text", "The dimensions by which OpenAI grouped the day"),
            ("x_Provisional", "boolean", "Whether the day may still change"),
            ("x_FetchedAt", "timestamptz", "The time at which the day was requested from OpenAI, to the second"),
        )
    ]
)
