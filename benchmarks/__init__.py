"""The load benchmark: compares the speed of the load with a minimal program and with dlt.

Run it with `python -m benchmarks`. The package is not installed. Modules that contenders import use only the
standard library, because not every contender has the dependencies of the project.
"""
