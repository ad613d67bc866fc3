"""End-to-end tests with real processes: `openai-costs up`, deployments, Dagster projects and exports."""
