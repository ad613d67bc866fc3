select
    organization, incident_id, level, project_id, service, model, api_key_id, user_id, line_item, direction, first_day, last_day,
    alerted_impact, alerted_day, announced, is_open
from openai_costs.incidents
where organization = %(organization)s and (is_open or last_day >= %(since)s)
order by incident_id
