-- Creates a reader or updates an existing role to be one. The role has no password.
do $$
declare
    reader constant text := /*reader*/;
    organizations constant text[] := /*organizations*/;
    found record;
begin
    if not exists (select from pg_roles where rolname = 'openai_costs_reader') then
        create role openai_costs_reader nologin;
    end if;
    grant usage on schema openai_costs to openai_costs_reader;

    if not exists (select from pg_roles where rolname = reader) then
        execute format('create role %I login connection limit 20', reader);
    end if;
    for found in
        select role.rolname
        from pg_roles as role
        where
            role.rolname = reader
            and (
                role.rolsuper or role.rolbypassrls or role.rolcreaterole or role.rolreplication
                or exists (
                    select from pg_roles as high
                    where
                        (high.rolname like 'openai\_costs\_%' or high.rolname like 'pg\_%')
                        and high.rolname not in ('openai_costs_reader', 'pg_database_owner')
                        and pg_has_role(role.oid, high.oid, 'member')
                )
            )
    loop
        raise exception 'the role % has more privileges than a reader: choose another name', reader;
    end loop;
    execute format('grant openai_costs_reader to %I', reader);
    execute format('grant connect on database %I to %I', current_database(), reader);

    if cardinality(organizations) > 0 then
        if to_regclass('openai_costs.reader_organizations') is null then
            raise exception 'readers of this database see all organizations: run the script of openai-costs roles --by-organization first';
        end if;
        insert into openai_costs.reader_organizations (reader, organization)
        select reader, organization from unnest(organizations) as organization
        on conflict do nothing;
    end if;
end
$$;
