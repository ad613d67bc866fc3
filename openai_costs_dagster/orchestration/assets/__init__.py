"""Functions that create the Dagster assets, one module per asset. `orchestration/build.py` calls these functions."""
