"""The state of the detector: the baseline, history, levels and episodes of each series before a day is evaluated."""
