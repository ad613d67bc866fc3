"""Dagster's runtime: its instance, its storages in Postgres and its run launchers.

The modules of this package do not import the definitions of assets.
"""
