"""Evaluates stored days: finds anomalies, evaluates budgets, detects late days and records alerts.

The modules of this package never import Dagster or an HTTP client.
"""
