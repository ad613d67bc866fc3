-- A restatement seen: a settled day's amount that changed between two complete readings.
create or replace view openai_costs.cost_revisions as
select
    organization,
    usage_date,
    project_id,
    line_item,
    api_key_id,
    user_id,
    currency,
    old_amount,
    new_amount,
    compared_by,
    observed_at
from openai_costs.revisions;
