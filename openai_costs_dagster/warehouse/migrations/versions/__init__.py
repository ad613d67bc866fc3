"""The migrations of the schema, one module each. The number in the file name gives their order."""
