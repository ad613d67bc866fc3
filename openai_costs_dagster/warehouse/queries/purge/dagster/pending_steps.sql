delete from openai_costs_dagster.pending_steps where concurrency_key = %(pool)s
