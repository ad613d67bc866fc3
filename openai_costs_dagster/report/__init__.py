"""The spend report page and the FOCUS export: the files that the project writes for people and for other tools."""
