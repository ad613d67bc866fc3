-- Deletes the names of a user, and the names of other objects that contain one of the user's addresses.
delete from openai_costs.directory_names as name
where
    name.organization = %(organization)s
    and (
        (name.kind = 'user' and name.id = %(user_id)s)
        or exists (
            select from unnest(%(addresses)s::text[]) as own (address)
            where position(own.address in lower(name.name)) > 0
        )
    )
