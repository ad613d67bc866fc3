"""The client of OpenAI's Admin API: requests, pagination, response types, errors and the choice of groupings.

The package sends only GET requests, and only to listed paths. It never puts a key into a message, and it raises an
error for a response that does not have the documented format. It imports neither Dagster nor the database.
"""
