"""Monitoring: evaluate stored days for anomalies, budgets and lateness. Never imports Dagster or an HTTP client."""
