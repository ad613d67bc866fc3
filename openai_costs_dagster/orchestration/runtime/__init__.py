"""The runtime of Dagster: the instance, its storages and the run launchers.

This package does not depend on the assets.
"""
