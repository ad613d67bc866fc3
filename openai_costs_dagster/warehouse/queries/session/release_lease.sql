-- The commit does not wait for the disk: a lease that a crash of the server restores ends by itself.
with setting as (
    select set_config('synchronous_commit', 'off', true)
)
delete from openai_costs.leases using setting where name = %(name)s and token = %(token)s
