delete from openai_costs_dagster.asset_keys where asset_key ~ %(mentions)s
