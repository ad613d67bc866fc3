create temporary table if not exists staged_buckets (
    usage_date date not null,
    digest bytea not null,
    body bytea not null
);
truncate staged_buckets
