"""Charts of daily spend, drawn as SVG for the report and as PNG for alerts."""
