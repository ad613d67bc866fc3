create temporary table if not exists staged_rows (
    usage_date date not null,
    project_id text,
    user_id text,
    api_key_id text,
    line_item text,
    currency text,
    quantity_unit text,
    amount numeric,
    quantity numeric
);
create temporary table if not exists staged_buckets (
    usage_date date not null,
    digest bytea not null,
    body bytea not null
);
truncate staged_rows, staged_buckets
