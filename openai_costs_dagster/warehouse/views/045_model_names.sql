-- The billed name of each model name in usage, by day. The names differ for fine-tuned models, for whisper-1, and if one
-- side uses the alias and the other the dated snapshot of a model (gpt-image-2, gpt-image-2-2026-04-21). An alias is
-- mapped to a snapshot if this is the only billed snapshot, or the only billed snapshot without usage of its own. Two
-- billed snapshots are never merged. A name without a billed counterpart is unchanged.
create or replace view openai_costs.model_names as
with spelled as (
    select distinct
        organization,
        usage_date,
        model as usage_model,
        case
            when model like 'ft:%' then regexp_replace(model, '^ft:([^:]+).*$', 'ft-\1') else model
        end as model,
        false as is_billed
    from openai_costs.usage_rows
    where model is not null
    union all
    select distinct cost.organization, cost.usage_date, null, item.model, true
    from openai_costs.cost_rows as cost
    join openai_costs.line_items as item using (line_item)
    where item.model is not null
),
names as (
    select
        organization,
        usage_date,
        model,
        case
            when model = 'whisper-1' then 'whisper'
            else regexp_replace(model, '-(\d{4}-\d{2}-\d{2}|\d{4}|\d{6}|\d{8}|v\d+)$', '')
        end as alias,
        bool_or(is_billed) as is_billed,
        array_agg(usage_model) filter (where usage_model is not null) as usage_models
    from spelled
    group by organization, usage_date, model
),
families as (
    select
        organization,
        usage_date,
        model,
        alias,
        is_billed,
        usage_models,
        bool_or(is_billed and model = alias) over family as is_alias_billed,
        count(*) filter (where is_billed and model <> alias) over family as snapshots,
        max(model) filter (where is_billed and model <> alias) over family as snapshot,
        count(*) filter (where is_billed and model <> alias and usage_models is null) over family as unused_snapshots,
        max(model) filter (where is_billed and model <> alias and usage_models is null) over family as unused_snapshot
    from names
    window family as (partition by organization, usage_date, alias)
)
select
    organization,
    usage_date,
    unnest(usage_models) as usage_model,
    case
        when is_billed then model
        when model <> alias and is_alias_billed then alias
        when model = alias and unused_snapshots = 1 then unused_snapshot
        when model = alias and snapshots = 1 then snapshot
        else model
    end as billed_model
from families
where usage_models is not null;
