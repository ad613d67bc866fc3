select what, said, seen_at
from openai_costs.absences
where organization = %(organization)s
order by what
