"""A first, honest baseline: a day's spend against the same weekday of the past weeks.

It says of one total whether it is unlike its own recent past, and in what words. A robust centre (median) and
spread (median absolute deviation) keep one odd week from hiding the next.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

WEEKS = 8
ENOUGH_WEEKS = 3
_NORMAL_SPREADS = {"low": 8.0, "medium": 5.0, "high": 3.5}
_TO_DEVIATION = 1.4826  # a median absolute deviation of normal noise in standard deviations
_LEAST_RELATIVE_SPREAD = 0.08  # ordinary spend wobbles by this much even where the past happened not to
_ZERO = Decimal(0)


@dataclass(frozen=True)
class Verdict:
    """What a day was expected to cost and did, in US dollars; `expected` is null where history is too short."""

    day: dt.date
    actual: Decimal
    expected: Decimal | None = None
    lower: Decimal | None = None
    upper: Decimal | None = None
    flagged: bool = False
    explanation: str = ""

    @property
    def impact(self) -> Decimal:
        """Actual less expected; 0 without an expectation."""
        return _ZERO if self.expected is None else self.actual - self.expected


def judge(
    day: dt.date,
    history: Mapping[dt.date, Decimal],
    *,
    provisional: bool,
    sensitivity: str = "medium",
    minimum_impact: Decimal = Decimal(5),
) -> Verdict:
    """Judges `day`, whose own spend is in `history`, by the same weekday of up to eight weeks before it.

    A provisional day is still growing: nothing below the range is said of it.
    """
    actual = history[day]
    past = [history[earlier] for week in range(1, WEEKS + 1) if (earlier := day - dt.timedelta(weeks=week)) in history]
    if len(past) < ENOUGH_WEEKS:
        weeks = f"{len(past)} of {ENOUGH_WEEKS} weeks"
        return Verdict(day, actual, explanation=f"Not judged: {weeks} of the same weekday are known.")
    expected = statistics.median(past)
    deviation = statistics.median(abs(value - expected) for value in past) * Decimal(str(_TO_DEVIATION))
    spread = max(deviation, abs(expected) * Decimal(str(_LEAST_RELATIVE_SPREAD)))
    reach = max(spread * Decimal(str(_NORMAL_SPREADS[sensitivity])), minimum_impact)
    lower, upper = max(expected - reach, min(expected, _ZERO)), expected + reach
    flagged = actual > upper or (actual < lower and not provisional)
    return Verdict(
        day,
        actual,
        expected,
        lower,
        upper,
        flagged=flagged,
        explanation=_explain(day, actual, expected, lower, upper, provisional),
    )


def _explain(
    day: dt.date, actual: Decimal, expected: Decimal, lower: Decimal, upper: Decimal, provisional: bool
) -> str:
    change = actual - expected
    more = "more" if change >= 0 else "less"
    share = f" ({change / expected:+.0%})" if expected else ""
    so_far = " so far" if provisional else ""
    return (
        f"{day:%A} cost ${actual:,.2f}{so_far}, ${abs(change):,.2f} {more}{share} than the same weekday of past weeks "
        f"(about ${expected:,.2f}; usual: ${lower:,.2f} to ${upper:,.2f})."
    )
