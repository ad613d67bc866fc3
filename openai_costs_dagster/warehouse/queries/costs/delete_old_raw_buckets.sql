-- All versions of a day go together: a version that stayed alone would be taken for the newest one, and a day that
-- went back to its bytes for unchanged. A day without any is compared row by row when it is read again.
delete from openai_costs.raw_buckets
where organization = %(organization)s and usage_date < %(older_than)s
