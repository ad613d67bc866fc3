"""How far back a day's judgement reaches.

What the detector remembers is half a year old at most (`tuning.noise_window`), so a longer past costs time and changes
little: on panels of ``benchmarks/detection`` three flags of a hundred, as many of them gained as lost. An organization
that was silent for all of it is not new again; a project, model, key or user is.
"""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.days import ONE_DAY

_AT_LEAST = 240


def begins(day: dt.date) -> dt.date:
    """The first day of what a day is judged by: that of a month, so that a whole month is judged by one walk.

    It depends on the day alone: alone or in a range, today or again in a year, a day is judged by the same past.
    """
    return (day - _AT_LEAST * ONE_DAY).replace(day=1)
