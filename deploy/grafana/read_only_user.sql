-- A user who may read the views of openai_costs and nothing else; the tables behind them, with raw answers in them,
-- stay closed. Run it as the schema's owner with the right to make users, and again after an upgrade that brought
-- new views. The password is set apart from it: in psql, \password openai_costs_reader.
do $$
declare
    found record;
begin
    if not exists (select from pg_roles where rolname = 'openai_costs_reader') then
        create role openai_costs_reader login connection limit 20;
    end if;
    alter role openai_costs_reader set default_transaction_read_only = on;
    alter role openai_costs_reader set statement_timeout = '60s';
    alter role openai_costs_reader set timezone = 'UTC';
    grant usage on schema openai_costs to openai_costs_reader;
    for found in select viewname from pg_views where schemaname = 'openai_costs' loop
        execute format('grant select on openai_costs.%I to openai_costs_reader', found.viewname);
    end loop;
end
$$;
