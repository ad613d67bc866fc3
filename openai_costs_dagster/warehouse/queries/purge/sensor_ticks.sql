-- A sensor covers several organizations; an error of its last tick may name any of them.
update openai_costs.sensor_ticks
set organizations = array_remove(organizations, %(organization)s), last_error = null
where %(organization)s = any (organizations)
