delete from openai_costs_dagster.asset_event_tags where asset_key ~ %(mentions)s
