"""How Dagster runs: the instance, its storages, and the run launcher. Knows no asset."""
