copy staged_buckets (usage_date, digest, body) from stdin
