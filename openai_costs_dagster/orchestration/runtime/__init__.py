"""The runtime of Dagster: the instance, its storages and the run launchers. Independent of the assets."""
