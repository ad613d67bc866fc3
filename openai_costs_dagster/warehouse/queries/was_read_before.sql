-- Whether anything of the organization was stored by another run than this one.
select exists (
    select
    from openai_costs.readings
    where organization = %(organization)s and run_id is distinct from %(run_id)s
)
