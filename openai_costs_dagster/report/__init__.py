"""Writes files for people and for other tools: the spend report as an HTML page, and the FOCUS export."""
