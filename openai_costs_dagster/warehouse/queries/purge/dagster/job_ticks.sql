delete from openai_costs_dagster.job_ticks where tick_body ~ %(mentions)s
