-- Sets the limits of each reader who may log in. ALTER ROLE ... SET is not inherited, so that a member of
-- openai_costs_reader has no limits of its own without this script. A session may change these settings; the daemon ends
-- the transactions that exceed them, for which the loader becomes a member of each reader.
do $$
declare
    found record;
begin
    for found in
        with recursive reader (oid) as (
            select oid from pg_roles where rolname = 'openai_costs_reader'
            union
            select membership.member
            from pg_auth_members as membership
            join reader on membership.roleid = reader.oid
            -- The administrator who created a role is its member with the admin option, and is no reader.
            where not membership.admin_option
        )
        select role.rolname as name
        from pg_roles as role
        join reader using (oid)
        where
            role.rolcanlogin
            and not role.rolsuper
            and not exists (
                select from pg_roles as high
                where
                    high.rolname in ('openai_costs_owner', 'openai_costs_loader')
                    and pg_has_role(role.oid, high.oid, 'member')
            )
    loop
        begin
            execute format(
                'alter role %1$I in database %2$I set default_transaction_read_only = on;'
                'alter role %1$I in database %2$I set statement_timeout = ''60s'';'
                'alter role %1$I in database %2$I set idle_in_transaction_session_timeout = ''60s'';'
                'alter role %1$I in database %2$I set work_mem = ''16MB'';'
                'alter role %1$I in database %2$I set timezone = ''UTC'';',
                found.name, current_database()
            );
            if exists (select from pg_roles where rolname = 'openai_costs_loader') then
                execute format('grant %I to openai_costs_loader', found.name);
            end if;
        exception
            when insufficient_privilege then
                raise warning 'the limits of the reader % were not set: %', found.name, sqlerrm;
        end;
    end loop;
end
$$;
