"""The Dagster definitions of this project (assets, checks, sensors), the runs that the command line starts, and
Dagster's runtime.

To add an asset or a check, start with the list in `build.py`.
"""
