insert into openai_costs.organizations (organization, display_name, start_date)
values (%(organization)s, %(display_name)s, %(start_date)s)
on conflict (organization) do update
set display_name = excluded.display_name, start_date = excluded.start_date
