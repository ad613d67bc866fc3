"""Tests of killed processes, concurrent backfills, lost connections and API errors. Stored days remain complete."""
