delete from openai_costs_dagster.asset_daemon_asset_evaluations where asset_key ~ %(mentions)s
