delete from openai_costs_dagster.asset_check_executions where asset_key ~ %(mentions)s
