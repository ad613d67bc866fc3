"""The sensors that send alerts and report late days. The sensor that requests refreshes is in `automation.py`."""
