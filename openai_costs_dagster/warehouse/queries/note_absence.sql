insert into openai_costs.absences (organization, what, said, seen_at)
values (%(organization)s, %(what)s, %(said)s, %(now)s)
on conflict (organization, what) do update set said = excluded.said, seen_at = excluded.seen_at
