select id, owner_id
from openai_costs.directory_entries
where organization = %(organization)s and kind = 'api_key' and owner_id <> ''
