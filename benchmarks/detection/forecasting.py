"""Forecasts with MSTL and AutoETS of statsforecast, fitted again every week. Runs in its own environment.

The module reads a request as JSON from standard input and prints a line of JSON per series deadline its time is over.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from statsforecast.models import MSTL, AutoETS  # type: ignore[import-not-found]  # in its own environment

WEEK = 7
MIN_DAYS = 28
"""The number of days of the first fit."""
LEVEL = 99
"""The nominal coverage of the interval, in percent."""
MODELS = {"MSTL": lambda: MSTL(season_length=WEEK), "AutoETS": lambda: AutoETS(season_length=WEEK)}


def main() -> None:
    """Process a request: ``{"seconds": budget, "series": [[US dollars by day since the first spend], ...]}``."""
    request = json.load(sys.stdin)
    deadline = time.monotonic() + request["seconds"]
    for values in request["series"]:
        if time.monotonic() > deadline:
            break
        print(
            json.dumps({name: _rolling_bounds(model, np.array(values)) for name, model in MODELS.items()}), flush=True
        )


def _rolling_bounds(model: Any, values: Any) -> dict[str, Any]:
    """Return the bounds of each day in US dollars, None for days with too little history, and the duration."""
    began = time.perf_counter()
    lower, upper = [None] * min(MIN_DAYS, len(values)), [None] * min(MIN_DAYS, len(values))
    for first in range(MIN_DAYS, len(values), WEEK):
        horizon = min(WEEK, len(values) - first)
        intervals = model().forecast(y=values[:first], h=horizon, level=[LEVEL])
        lower += intervals[f"lo-{LEVEL}"].tolist()
        upper += intervals[f"hi-{LEVEL}"].tolist()
    return {"lower": lower, "upper": upper, "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    main()
