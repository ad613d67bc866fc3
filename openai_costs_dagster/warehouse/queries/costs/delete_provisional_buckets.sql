-- Only the latest raw bucket of a provisional day is stored.
delete from openai_costs.raw_buckets
where
    organization = %(organization)s
    and usage_date between %(first)s and %(last)s
    and source = %(source)s
    and provisional
