"""statsforecast's MSTL and AutoETS, walked forward with a new fit every week. Runs in an environment of its own.

Reads an order as JSON from standard input; answers with a line of JSON per series, as long as there is time.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from statsforecast.models import MSTL, AutoETS  # type: ignore[import-not-found]  # not in our environment, on purpose

WEEK = 7
LEAST = 28
"""Days that a first fit sees."""
LEVEL = 99
"""Percent of days that an interval promises to hold."""
MODELS = {"MSTL": lambda: MSTL(season_length=WEEK), "AutoETS": lambda: AutoETS(season_length=WEEK)}


def main() -> None:
    """`{"seconds": budget, "series": [[US dollars by day, from the first spend on], ...]}`."""
    order = json.load(sys.stdin)
    until = time.monotonic() + order["seconds"]
    for values in order["series"]:
        if time.monotonic() > until:
            break
        print(json.dumps({name: _walked(model, np.array(values)) for name, model in MODELS.items()}), flush=True)


def _walked(model: Any, values: Any) -> dict[str, Any]:
    """Bounds of each day in US dollars, None where there were too few before it, and the seconds that took."""
    began = time.perf_counter()
    lower, upper = [None] * min(LEAST, len(values)), [None] * min(LEAST, len(values))
    for first in range(LEAST, len(values), WEEK):
        horizon = min(WEEK, len(values) - first)
        found = model().forecast(y=values[:first], h=horizon, level=[LEVEL])
        lower += found[f"lo-{LEVEL}"].tolist()
        upper += found[f"hi-{LEVEL}"].tolist()
    return {"lower": lower, "upper": upper, "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    main()
