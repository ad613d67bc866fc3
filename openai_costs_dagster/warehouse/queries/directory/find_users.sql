-- The users with an id or an email address.
select distinct id
from openai_costs.directory_names
where kind = 'user' and (id = %(user)s or lower(email) = lower(%(user)s))
