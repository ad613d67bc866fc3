-- A sensor covers several organizations. The error of its last tick is cleared, because it may name the organization.
update openai_costs.sensor_ticks
set organizations = array_remove(organizations, %(organization)s), last_error = null
where %(organization)s = any (organizations)
