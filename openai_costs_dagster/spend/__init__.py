"""Pure rules about money: adding up, reconciling, naming line items, judging a day. No Dagster, SQL or HTTP in here."""
