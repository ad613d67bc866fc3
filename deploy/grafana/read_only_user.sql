-- Creates a user that can read the views of openai_costs, but no table. Run the script as the owner of the schema with
-- the privilege to create roles, and again after an upgrade with new views. Set the password in psql with
-- \password openai_costs_reader.
do $$
declare
    found record;
begin
    if not exists (select from pg_roles where rolname = 'openai_costs_reader') then
        create role openai_costs_reader login connection limit 20;
    end if;
    alter role openai_costs_reader set default_transaction_read_only = on;
    alter role openai_costs_reader set statement_timeout = '60s';
    alter role openai_costs_reader set idle_in_transaction_session_timeout = '60s';
    alter role openai_costs_reader set timezone = 'UTC';
    grant usage on schema openai_costs to openai_costs_reader;
    for found in select viewname from pg_views where schemaname = 'openai_costs' loop
        execute format('grant select on openai_costs.%I to openai_costs_reader', found.viewname);
    end loop;
end
$$;
