"""`openai-costs up` as a whole: Dagster's UI, its daemon, automation, backfills, and what is left behind."""
