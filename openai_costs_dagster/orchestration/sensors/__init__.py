"""Sensors: the delivery of alerts and the report of late days. `automation.py` has the sensor for refreshes."""
