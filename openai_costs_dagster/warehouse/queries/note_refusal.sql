insert into openai_costs.refusals (organization, grouping, first_day, last_day, seen_at)
values (%(organization)s, %(grouping)s, %(first_day)s, %(last_day)s, %(seen_at)s)
