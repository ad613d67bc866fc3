"""One file for every step of the schema, oldest first."""
