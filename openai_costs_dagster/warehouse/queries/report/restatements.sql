-- Recent restatements by day and time of detection, in units of the currency.
select
    organization,
    usage_date,
    observed_at,
    currency,
    count(*) as parts,
    sum(new_amount - old_amount) as change
from openai_costs.cost_revisions
where organization = any(%(organizations)s) and observed_at >= %(since)s
group by 1, 2, 3, 4
order by abs(sum(new_amount - old_amount)) desc, observed_at desc, organization, usage_date
limit %(most)s
