-- Owner and privileges of Dagster's tables. Without the roles, the script has no effect.
do $$
declare
    owner_id constant oid := (select nspowner from pg_namespace where nspname = 'openai_costs');
    for_owner constant boolean := owner_id = (select oid from pg_roles where rolname = 'openai_costs_owner');
    for_loader constant boolean
        := (select has_schema_privilege(oid, 'openai_costs', 'usage') from pg_roles where rolname = 'openai_costs_loader');
    found record;
begin
    if not coalesce(for_owner, false) or to_regnamespace('openai_costs_dagster') is null then
        return;
    end if;
    -- Objects that a superuser created during a migration are transferred to the owner.
    for found in
        select object.oid::regclass as name
        from pg_class as object
        where
            object.relkind in ('r', 'v')
            and object.relowner <> owner_id
            and pg_has_role(object.relowner, 'usage')
            and object.relnamespace = to_regnamespace('openai_costs_dagster')
    loop
        execute format('alter table %s owner to openai_costs_owner', found.name);
    end loop;
    if for_loader then
        grant select, insert, update, delete on all tables in schema openai_costs_dagster to openai_costs_loader;
        grant usage, select on all sequences in schema openai_costs_dagster to openai_costs_loader;
    end if;
end $$;
