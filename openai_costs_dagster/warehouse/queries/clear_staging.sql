truncate staged_rows, staged_buckets
