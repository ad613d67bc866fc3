"""Rules about spend without I/O: reconciliation, line items, allocation, anomaly detection, budgets and forecasts."""
