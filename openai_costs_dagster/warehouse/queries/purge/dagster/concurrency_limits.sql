delete from openai_costs_dagster.concurrency_limits where concurrency_key = %(pool)s
