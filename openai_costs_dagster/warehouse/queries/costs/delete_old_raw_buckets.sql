-- All versions of a day are deleted together. If an old version stayed, it would count as the latest one, and a day
-- that returned to this version would count as unchanged. Days without raw buckets are compared by their rows.
delete from openai_costs.raw_buckets
where organization = %(organization)s and usage_date < %(older_than)s
