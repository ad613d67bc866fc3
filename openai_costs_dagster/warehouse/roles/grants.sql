-- Privileges of each role. The script runs with every migration, so that new tables and views get the right privileges.
-- Foreign objects in the schema are not changed. Without the roles, the script has no effect.
do $$
declare
    our_tables constant text[] := array[/*tables*/];
    our_views constant text[] := array[/*views*/];
    owner_id constant oid := (select nspowner from pg_namespace where nspname = 'openai_costs');
    for_owner constant boolean := owner_id = (select oid from pg_roles where rolname = 'openai_costs_owner');
    for_loader constant boolean
        := (select has_schema_privilege(oid, 'openai_costs', 'usage') from pg_roles where rolname = 'openai_costs_loader');
    for_reader constant boolean
        := (select has_schema_privilege(oid, 'openai_costs', 'usage') from pg_roles where rolname = 'openai_costs_reader');
    by_organization constant boolean := to_regclass('openai_costs.reader_organizations') is not null;
    found record;
begin
    -- Objects that a superuser created during a migration are transferred to the owner.
    if for_owner then
        for found in
            select object.oid::regclass as name
            from pg_class as object
            where
                object.relkind in ('r', 'v')
                and object.relowner <> owner_id
                and pg_has_role(object.relowner, 'usage')
                and object.relnamespace = to_regnamespace('openai_costs')
                and object.relname = any (our_tables || our_views || array['alembic_version'])
                and not (by_organization and pg_get_userbyid(object.relowner) = 'openai_costs_views')
        loop
            execute format('alter table %s owner to openai_costs_owner', found.name);
        end loop;
        for found in
            select oid::regprocedure as name
            from pg_proc
            where
                oid = to_regprocedure('openai_costs.text_key(text)')
                and proowner <> owner_id
                and pg_has_role(proowner, 'usage')
        loop
            execute format('alter function %s owner to openai_costs_owner', found.name);
        end loop;
    end if;

    for found in
        select
            object.oid::regclass as name,
            object.relname = any (our_views) as is_view,
            object.relname in ('schema_metadata', 'alembic_version') as is_metadata
        from pg_class as object
        where
            object.relnamespace = to_regnamespace('openai_costs')
            and object.relkind in ('r', 'v')
            and object.relname = any (our_tables || our_views || array['alembic_version'])
    loop
        if for_loader then
            execute format('grant select on %s to openai_costs_loader', found.name);
            if not found.is_view and not found.is_metadata then
                execute format('grant insert, update, delete on %s to openai_costs_loader', found.name);
            end if;
        end if;
        if for_reader and found.is_view then
            execute format('grant select on %s to openai_costs_reader', found.name);
        elsif for_reader then
            execute format('revoke all on %s from openai_costs_reader', found.name);
        end if;
    end loop;

    -- A view reads tables with the privileges of its owner, and row level policies do not apply to the owner of a table.
    -- The views therefore need an owner that does not own the tables.
    if by_organization then
        grant usage, create on schema openai_costs to openai_costs_views;
        for found in
            select object.oid::regclass as name
            from pg_class as object
            where
                object.relnamespace = to_regnamespace('openai_costs')
                and object.relkind = 'v'
                and object.relname = any (our_views)
                and object.relowner <> 'openai_costs_views'::regrole
        loop
            execute format('alter view %s owner to openai_costs_views', found.name);
        end loop;
        revoke create on schema openai_costs from openai_costs_views;
        grant select on openai_costs.reader_organizations to openai_costs_views;
        for found in
            select distinct needed.refobjid::regclass as name
            from pg_depend as needed
            join pg_rewrite as rule on needed.classid = 'pg_rewrite'::regclass and needed.objid = rule.oid
            join pg_class as view on rule.ev_class = view.oid
            join pg_class as object on needed.refclassid = 'pg_class'::regclass and needed.refobjid = object.oid
            where
                view.relnamespace = to_regnamespace('openai_costs')
                and view.relname = any (our_views)
                and object.relkind = 'r'
        loop
            execute format('grant select on %s to openai_costs_views', found.name);
        end loop;
    else
        for found in
            select object.oid::regclass as name, pg_get_userbyid(owner_id) as owner
            from pg_class as object
            where
                object.relnamespace = to_regnamespace('openai_costs')
                and object.relkind = 'v'
                and object.relname = any (our_views)
                and pg_get_userbyid(object.relowner) = 'openai_costs_views'
        loop
            execute format('alter view %s owner to %I', found.name, found.owner);
        end loop;
    end if;

    for found in
        select object.oid::regclass as name, object.relname, object.relrowsecurity as has_policies
        from pg_class as object
        join pg_attribute as attribute on object.oid = attribute.attrelid and attribute.attname = 'organization'
        where
            object.relnamespace = to_regnamespace('openai_costs')
            and object.relkind = 'r'
            and object.relname = any (our_tables)
    loop
        continue when not by_organization and not found.has_policies;
        execute format('drop policy if exists openai_costs_by_organization on %s', found.name);
        execute format('drop policy if exists openai_costs_loader on %s', found.name);
        if not by_organization then
            execute format('alter table %s disable row level security', found.name);
            continue;
        end if;
        execute format('alter table %s enable row level security', found.name);
        if for_loader then
            execute format('create policy openai_costs_loader on %s to openai_costs_loader using (true)', found.name);
        end if;
        execute format('create policy openai_costs_by_organization on %s for select to openai_costs_views using (', found.name)
            || case
                when found.relname = 'messages'  -- A message may cover several organizations.
                    then 'exists (select from openai_costs.outbox as alert where alert.alert_id = any (alert_ids))'
                else $policy$
                    (
                        select exists (
                            select
                            from (
                                select 'openai_costs_loader' as reader
                                union all
                                select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'openai_costs'
                                union all
                                select reader from openai_costs.reader_organizations where organization = '*'
                            ) as unrestricted
                            join pg_roles as role on unrestricted.reader = role.rolname
                            where pg_has_role(role.oid, 'usage')
                        )
                    )
                    or organization in (
                        select granted.organization
                        from openai_costs.reader_organizations as granted
                        join pg_roles as role on granted.reader = role.rolname
                        where pg_has_role(role.oid, 'usage')
                    )
                $policy$
            end
            || ')';
    end loop;
end
$$;
