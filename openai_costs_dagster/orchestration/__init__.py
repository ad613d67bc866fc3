"""Where the rooms meet: assets, checks, automation, ingestion. Rules live in `spend`, SQL in `warehouse`."""
