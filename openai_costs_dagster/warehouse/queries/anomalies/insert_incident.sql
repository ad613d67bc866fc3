insert into openai_costs.incidents (
    organization, level, project_id, service, model, api_key_id, user_id, line_item, direction, first_day, last_day,
    alerted_impact, alerted_day, announced, is_open
)
values (
    %(organization)s, %(level)s, %(project_id)s, %(service)s, %(model)s, %(api_key_id)s, %(user_id)s, %(line_item)s,
    %(direction)s, %(first_day)s, %(last_day)s, %(alerted_impact)s, %(alerted_day)s, %(announced)s, %(is_open)s
)
