-- The users that an id or an address stands for.
select distinct id
from openai_costs.directory_names
where kind = 'user' and (id = %(user)s or lower(email) = lower(%(user)s))
