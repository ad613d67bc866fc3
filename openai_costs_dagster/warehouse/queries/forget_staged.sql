with forgotten as (delete from staged_buckets where usage_date between %(first)s and %(last)s)
delete from staged_rows where usage_date between %(first)s and %(last)s
