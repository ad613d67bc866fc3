-- A session may change its own statement_timeout, so that only another session can enforce a limit.
with recursive reader (oid) as (
    select oid from pg_roles where rolname = 'openai_costs_reader'
    union
    select membership.member
    from pg_auth_members as membership
    join reader on membership.roleid = reader.oid
    -- The administrator who created a role is its member with the admin option, and is no reader.
    where not membership.admin_option
),

-- The planner may evaluate conditions in any order, and pg_terminate_backend fails for sessions of other roles.
long_session as materialized (
    select role.rolname::text as name, activity.pid
    from pg_stat_activity as activity
    join reader on activity.usesysid = reader.oid
    join pg_roles as role using (oid)
    where
        activity.datname = current_database()
        and activity.backend_type = 'client backend'
        and activity.xact_start < clock_timestamp() - %(limit)s::interval
        and not role.rolsuper
        -- Owner and loader are members of roles that they manage.
        and not exists (
            select from pg_roles as high
            where
                high.rolname in ('openai_costs_owner', 'openai_costs_loader')
                and pg_has_role(role.oid, high.oid, 'member')
        )
        and pg_has_role(role.oid, 'usage')
)

select name
from long_session
where pg_terminate_backend(pid)
