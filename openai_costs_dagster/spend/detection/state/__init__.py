"""The state of the detector: what it knows about each series before it evaluates a day."""
