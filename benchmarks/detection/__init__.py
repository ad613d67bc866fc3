"""How well anomalies are found, beside simpler rules and one that knows the truth: `python -m benchmarks.detection`.

The generator knows nothing of the detector, and the detector nothing of it: neither imports the other's calendar or
numbers. Nothing here is installed.
"""
