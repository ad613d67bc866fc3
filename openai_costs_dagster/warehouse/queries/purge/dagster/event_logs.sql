delete from openai_costs_dagster.event_logs where asset_key ~ %(mentions)s or event ~ %(mentions)s
