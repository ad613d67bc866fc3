-- Restatements: changes of the amounts of settled days between two synchronizations.
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
