"""Draws charts of daily spend, as SVG for the report and Dagster's UI, and as PNG for alerts."""
