-- The maximum number of digits before and after the decimal point in each numeric column.
select metric.name, max(length(trunc(abs(metric.value))::text)) as before, max(scale(metric.value)) as after
from openai_costs.focus as charge
cross join lateral (
    values
        ('BilledCost', charge."BilledCost"),
        ('EffectiveCost', charge."EffectiveCost"),
        ('ListCost', charge."ListCost"),
        ('ContractedCost', charge."ContractedCost"),
        ('ConsumedQuantity', charge."ConsumedQuantity"),
        ('PricingQuantity', charge."PricingQuantity"),
        ('ListUnitPrice', charge."ListUnitPrice"),
        ('ContractedUnitPrice', charge."ContractedUnitPrice")
) as metric (name, value)
where
    charge."x_Organization" = any(%(organizations)s)
    and charge."x_UsageDate" between %(first)s and %(last)s
    and metric.value is not null
group by metric.name
