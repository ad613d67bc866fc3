"""Dagster's part of the program: assets, checks, sensors, runs and the runtime.

Start with `build.py`, which describes where to change what.
"""
