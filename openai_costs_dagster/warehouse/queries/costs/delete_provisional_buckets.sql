-- Of a provisional day only the newest version of its bytes is kept.
delete from openai_costs.raw_buckets
where
    organization = %(organization)s
    and usage_date between %(first)s and %(last)s
    and source = %(source)s
    and provisional
