delete from openai_costs_dagster.concurrency_slots where concurrency_key = %(pool)s
