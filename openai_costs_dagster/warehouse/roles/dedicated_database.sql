-- By default, PostgreSQL lets every role create temporary tables and large objects, with which a reader could fill the
-- disk. In a database that contains nothing else, only the roles of openai-costs keep these rights.
do $$
begin
    execute format('revoke temporary on database %I from public', current_database());
    execute format('grant temporary on database %I to openai_costs_owner, openai_costs_loader', current_database());
    if (select rolsuper from pg_roles where rolname = current_user) then
        revoke execute on function
            lo_create(oid), lo_creat(integer), lo_from_bytea(oid, bytea), lo_open(oid, integer), lowrite(integer, bytea)
            from public;
    else
        raise warning 'only a superuser can revoke the right to create large objects';
    end if;
end
$$;
