-- Creates or updates the database roles of openai-costs-dagster. Run the script in the database of the costs, as a role
-- that may create roles and schemas. The script can be repeated at any time. New roles have no password; set one in psql
-- with \password openai_costs_loader.
--
--   openai_costs_owner    owns schemas, tables and views, and migrates them: openai-costs prepare
--   openai_costs_loader   reads and writes rows, and creates only temporary tables: all other commands
--   openai_costs_reader   reads the views, but no table
--   openai_costs_views    has no login; owns the views if readers are restricted to their organizations
do $$
declare
    made text;
    found record;
begin
    foreach made in array array['openai_costs_owner', 'openai_costs_loader', 'openai_costs_reader'] loop
        if not exists (select from pg_roles where rolname = made) then
            execute format('create role %I login', made);
        end if;
        execute format('grant connect on database %I to %I', current_database(), made);
    end loop;
    if not exists (select from pg_roles where rolname = 'openai_costs_views') then
        create role openai_costs_views nologin;
    end if;

    for found in
        select rolname from pg_roles
        where
            rolname in ('openai_costs_owner', 'openai_costs_loader', 'openai_costs_reader', 'openai_costs_views')
            and (rolsuper or rolbypassrls or rolcreaterole or rolreplication)
    loop
        raise exception 'the role % has too many privileges: revoke superuser, bypassrls, createrole and replication', found.rolname;
    end loop;
    for found in
        select low.rolname as low, high.rolname as high
        from pg_roles as low
        cross join pg_roles as high
        where
            low.rolname in ('openai_costs_loader', 'openai_costs_reader')
            and high.rolname <> low.rolname
            and (
                high.rolname in ('openai_costs_owner', 'openai_costs_loader', 'openai_costs_views')
                or high.rolname in ('pg_read_all_data', 'pg_write_all_data', 'pg_read_all_stats', 'pg_monitor')
            )
            and pg_has_role(low.oid, high.oid, 'member')
    loop
        raise exception 'the role % is a member of %, which has more privileges: revoke % from it', found.low, found.high, found.high;
    end loop;

    -- Changing the owner of an object requires membership in the new owner, so that the owner role must be a member of
    -- the role that owns the views.
    if not (select rolsuper from pg_roles where rolname = current_user) then
        execute format('grant openai_costs_owner, openai_costs_views to %I', current_user);
    end if;
    grant openai_costs_views to openai_costs_owner;

    execute format('grant temporary on database %I to openai_costs_loader', current_database());
    alter role openai_costs_reader connection limit 20;
    alter role openai_costs_reader set default_transaction_read_only = on;
    alter role openai_costs_reader set statement_timeout = '60s';
    alter role openai_costs_reader set idle_in_transaction_session_timeout = '60s';
    alter role openai_costs_reader set timezone = 'UTC';

    foreach made in array array['openai_costs', 'openai_costs_dagster'] loop
        if to_regnamespace(made) is null then
            execute format('create schema %I authorization openai_costs_owner', made);
        elsif (select nspowner from pg_namespace where nspname = made)
            <> (select oid from pg_roles where rolname = 'openai_costs_owner') then
            execute format('alter schema %I owner to openai_costs_owner', made);
        end if;
        execute format('grant usage on schema %I to openai_costs_loader', made);
    end loop;
    grant usage on schema openai_costs to openai_costs_reader;

    -- Dagster creates its own tables, so that the loader gets its privileges as default privileges.
    alter default privileges for role openai_costs_owner in schema openai_costs_dagster
        grant select, insert, update, delete on tables to openai_costs_loader;
    alter default privileges for role openai_costs_owner in schema openai_costs_dagster
        grant usage, select on sequences to openai_costs_loader;
end
$$;
