-- The names and email addresses of all users.
select distinct id, name, lower(email)
from openai_costs.directory_names
where kind = 'user'
