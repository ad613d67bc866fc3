-- The privileges that migrations and loads require.
select
    current_user,
    current_database(),
    pg_is_in_recovery(),
    current_setting('transaction_read_only')::boolean,
    has_database_privilege(current_database(), 'temporary'),
    has_database_privilege(current_database(), 'create')
    or (to_regnamespace('openai_costs') is not null and to_regnamespace('openai_costs_dagster') is not null)
