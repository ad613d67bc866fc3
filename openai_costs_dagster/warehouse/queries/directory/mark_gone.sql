-- Marks entries of one kind as gone if a complete synchronization no longer listed them.
update openai_costs.directory_entries
set status = 'gone'
where
    organization = %(organization)s
    and kind = %(kind)s
    and observed_at < %(now)s
    and (%(project_id)s::text is null or project_id = %(project_id)s)
    and status is distinct from 'archived'
    and status is distinct from 'gone'
