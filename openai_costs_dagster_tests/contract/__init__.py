"""What other people rely on from us, and what we rely on from Dagster and PostgreSQL."""
