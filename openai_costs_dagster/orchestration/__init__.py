"""Dagster's part of the program: assets, checks, sensors, runs and the runtime. `build.py` is the map."""
