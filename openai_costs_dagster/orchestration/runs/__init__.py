"""Runs that the command line starts, ends or deletes."""
