"""The state of the detector before it evaluates a day: the baseline, history, levels and episodes of each series."""
