"""The forecast benchmark: errors of cost forecasts and the coverage of their intervals on real series.

Run it with `python -m benchmarks.forecast`. The package is not installed.
"""
