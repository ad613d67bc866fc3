"""The detection benchmark: compares the detector with simple rules, forecasting models and an oracle.

Run it with `python -m benchmarks.detection`. The generator and the detector do not import each other's calendar or
parameters. The package is not installed.
"""
