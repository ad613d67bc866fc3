"""OpenAI's Admin API: client, wire types, errors, pages, which detail is served. Knows neither Dagster nor Postgres.

It must never send anything but GET to the listed paths, let a key out, or guess at what it does not understand.
"""
