update openai_costs.incidents
set
    first_day = %(first_day)s,
    last_day = %(last_day)s,
    alerted_impact = %(alerted_impact)s,
    alerted_day = %(alerted_day)s,
    announced = %(announced)s,
    is_open = %(is_open)s
where incident_id = %(incident_id)s
