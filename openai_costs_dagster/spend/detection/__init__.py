"""The detector of unusual spend: it evaluates daily spend by the data that was known at the end of each day.

- `panel` arranges daily spend as an array (the panel) with a row per UTC day and a column per series.
- `parameters` holds every tuned number and the values of the three sensitivities.
- `detector` evaluates a panel day by day and calls the rules in order. Every rule is called in this module.
- `verdicts` holds the results and the descriptions of the reasons. The reason of every rule is described in this
  module.
- `state/` holds the state of the detector before each day: the baseline, the history, the levels and the episodes.
- `rules/` holds one module per rule. `outliers` and `intermittent` flag days; `suppressions`, `recoveries` and
  `migrations` remove flags.
- `root_causes` reduces the flagged series of a day to one finding per cause.
- `backtest` runs the detector over a table of past spend.

To add a rule, add a module with a class and a method ``apply(day)`` to `rules/`, and call the method in `Detector.run`.
"""
