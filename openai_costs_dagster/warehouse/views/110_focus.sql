-- Costs in the format FOCUS 1.2 (FinOps Open Cost and Usage Specification), with the provider columns of FOCUS 1.4 in
-- addition. Rows without an amount are excluded, because FOCUS has no null costs and 0 would be wrong.
create or replace view openai_costs.focus as
with api_keys as materialized (
    select
        organization,
        id,
        (array_agg(name order by last_seen_at desc) filter (where name is not null))[1] as name
    from openai_costs.directory_names
    where kind = 'api_key'
    group by organization, id
),
charges as (
    select
        cost.organization,
        cost.usage_date,
        nullif(cost.project_id, '') as project_id,
        nullif(cost.project_name, '') as project_name,
        case when cost.line_item ~ '\S' then cost.line_item end as label,
        cost.service,
        cost.model,
        cost.surface,
        cost.modality,
        cost.long_context,
        cost.subcategory,
        case
            when cost.model is not null
                then concat_ws(', ', concat_ws(' ', cost.model, cost.modality), cost.subcategory)
            when cost.line_item ~ '\S' then coalesce(nullif(cost.category, 'Unlabelled'), cost.line_item)
        end as sku,
        nullif(cost.api_key_id, '') as api_key_id,
        nullif(cost.user_id, '') as user_id,
        trim_scale(cost.amount) as amount,
        coalesce(nullif(upper(cost.currency collate "C") collate "default", ''), 'XXX') as currency,
        kind.category,
        case when kind.category = 'Usage' then trim_scale(cost.quantity) end as quantity,
        case when kind.category = 'Usage' and cost.quantity is not null then coalesce(unit.name, 'Units') end as unit,
        cost.grouping,
        cost.provisional,
        cost.fetched_at
    from openai_costs.daily_costs as cost
    -- Grants are credits, whatever their sign. Discounts, refunds and adjustments have no quantity.
    cross join lateral (
        select
            case
                when cost.service = 'Credits' and cost.line_item ~* 'credit' then 'Credit'
                when cost.service = 'Credits' then 'Adjustment'
                else 'Usage'
            end as category
    ) as kind
    cross join lateral (
        select
            substring(cost.quantity_unit from '^(\d+)_') as count,
            regexp_replace(cost.quantity_unit, '^(\d+_|duration_)', '') as noun
    ) as part
    cross join lateral (
        select
            coalesce(
                concat_ws(
                    ' ',
                    part.count,
                    case part.noun
                        when 'tokens' then 'Tokens'
                        when 'characters' then 'Characters'
                        when 'images' then 'Images'
                        when 'requests' then 'Requests'
                        when 'sessions' then 'Sessions'
                        when 'seconds' then 'Seconds'
                        when 'minutes' then 'Minutes'
                        when 'hours' then 'Hours'
                        when 'gibibyte_hours' then 'GiB-Hours'
                    end
                ),
                ''
            ) as known
    ) as spelled
    cross join lateral (
        select case when spelled.known ~ '[A-Z]' then spelled.known else nullif(cost.quantity_unit, '') end as name
    ) as unit
    where cost.amount is not null
)
select
    'OpenAI' as "ProviderName",
    'OpenAI' as "PublisherName",
    'OpenAI' as "InvoiceIssuerName",
    'OpenAI' as "ServiceProviderName",
    'OpenAI' as "HostProviderName",
    coalesce(registered.openai_organization_id, charge.organization) as "BillingAccountId",
    coalesce(nullif(registered.display_name, ''), charge.organization) as "BillingAccountName",
    charge.project_id as "SubAccountId",
    case when charge.project_id is not null then coalesce(charge.project_name, charge.project_id) end
        as "SubAccountName",
    null::text as "InvoiceId",
    period.month at time zone 'utc' as "BillingPeriodStart",
    (period.month + interval '1 month') at time zone 'utc' as "BillingPeriodEnd",
    charge.usage_date::timestamp at time zone 'utc' as "ChargePeriodStart",
    (charge.usage_date + 1)::timestamp at time zone 'utc' as "ChargePeriodEnd",
    charge.category as "ChargeCategory",
    null::text as "ChargeClass",
    charge.label as "ChargeDescription",
    case when charge.category = 'Usage' then 'Usage-Based' else 'One-Time' end as "ChargeFrequency",
    charge.amount as "BilledCost",
    charge.amount as "EffectiveCost",
    charge.amount as "ListCost",
    charge.amount as "ContractedCost",
    charge.currency as "BillingCurrency",
    charge.quantity as "ConsumedQuantity",
    charge.unit as "ConsumedUnit",
    case when charge.category = 'Usage' then 'Standard' end as "PricingCategory",
    charge.quantity as "PricingQuantity",
    charge.unit as "PricingUnit",
    null::numeric as "ListUnitPrice",
    -- Unit prices are derived and therefore rounded, so that they never exceed the 76 digits of Parquet's decimals.
    case
        when price.exact >= 0 and price.exact < 1e36 then trim_scale(round(price.exact, 40))
    end as "ContractedUnitPrice",
    'AI and Machine Learning' as "ServiceCategory",
    case
        when charge.service in ('Chat completions', 'Images', 'Videos', 'Audio speeches', 'Realtime') then 'Generative AI'
        when charge.service in ('Embeddings', 'Moderations', 'Audio transcriptions') then 'Natural Language Processing'
        when charge.service in ('Web search', 'File search', 'Code interpreter', 'Vector stores') then 'AI Platforms'
        else 'Other (AI and Machine Learning)'
    end as "ServiceSubcategory",
    charge.service as "ServiceName",
    charge.sku as "SkuId",
    case when charge.sku is not null then coalesce(charge.subcategory, charge.service) end as "SkuMeter",
    case when charge.sku is not null then charge.label end as "SkuPriceId",
    case
        when charge.sku is not null then nullif(
            jsonb_strip_nulls(
                jsonb_build_object(
                    'x_Model', charge.model,
                    'x_Modality', charge.modality,
                    'x_Surface', charge.surface,
                    'x_LongContext', nullif(charge.long_context, false)
                )
            ),
            '{}'
        )
    end as "SkuPriceDetails",
    charge.api_key_id as "ResourceId",
    -- Names of API keys that contain an email address are excluded from files, because openai-costs forget-user cannot
-- edit exported files.
    case when api_key.name not like '%@%' then nullif(api_key.name, '') end as "ResourceName",
    case when charge.api_key_id is not null then 'API key' end as "ResourceType",
    null::text as "RegionId",
    null::text as "RegionName",
    jsonb_strip_nulls(
        jsonb_build_object(
            'openai/organization', charge.organization,
            'openai/project_id', charge.project_id,
            'openai/user_id', charge.user_id,
            'openai/api_key_id', charge.api_key_id,
            'openai/model', charge.model,
            'openai/grouping', charge.grouping
        )
    ) as "Tags",
    charge.organization as "x_Organization",
    charge.usage_date as "x_UsageDate",
    charge.model as "x_Model",
    charge.user_id as "x_UserId",
    charge.grouping as "x_Grouping",
    charge.provisional as "x_Provisional",
    date_trunc('second', charge.fetched_at, 'UTC') as "x_FetchedAt"
from charges as charge
cross join lateral (select date_trunc('month', charge.usage_date::timestamp) as month) as period
cross join lateral (select charge.amount / nullif(charge.quantity, 0) as exact) as price
left join openai_costs.organizations as registered using (organization)
left join api_keys as api_key on api_key.organization = charge.organization and api_key.id = charge.api_key_id;
