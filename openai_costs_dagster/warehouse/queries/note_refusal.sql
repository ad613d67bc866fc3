insert into openai_costs.refused_groupings (organization, grouping, first_day, last_day, observed_at)
values (%(organization)s, %(grouping)s, %(first_day)s, %(last_day)s, %(observed_at)s)
