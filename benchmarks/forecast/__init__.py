"""How far forecasts of a month's cost are off, and whether their intervals hold what they say, on real series.

`python -m benchmarks.forecast`. Nothing here is installed.
"""
