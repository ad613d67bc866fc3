"""Puts outcomes into tables, and into docs/forecast-benchmark.md where that is asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.detection.report import machine
from benchmarks.forecast.contenders import RIVALS
from benchmarks.forecast.periods import DAYS, LEAST_HISTORY, MONTH, QUARTER
from benchmarks.forecast.rolling import OURS, Outcome, below, coverage, mean_error, median_error, width

Outcomes = Sequence[Outcome]

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "forecast-benchmark.md"
_LONG = 365
_DOES = {OURS: "`openai_costs_dagster.spend.forecast`"} | {rival.name: rival.does for rival in RIVALS}


@dataclass(frozen=True)
class Measurements:
    """Everything that was found."""

    read: int
    """Series in the file."""
    tuning: Mapping[int, Outcomes]
    """By months of a period, on the half that numbers were chosen on."""
    held_out: Mapping[int, Outcomes]
    """The same on the other half."""


def tables(found: Measurements) -> str:
    """What is printed."""
    months, quarters = found.held_out[MONTH], found.held_out[QUARTER]
    parts = [
        "months, held out",
        errors_table(months, MONTH),
        halves_table(found),
        interval_table(months, MONTH),
        families_table(months),
        "quarters, held out",
        errors_table(quarters, QUARTER),
        interval_table(quarters, QUARTER),
        _speed(months),
    ]
    return "\n\n".join(parts)


def errors_table(chosen: Outcomes, months: int) -> str:
    """A row per contender: mean absolute percentage errors, all and by day, and the median one."""
    rows = [
        [
            who,
            _percent(mean_error(chosen, who)),
            _percent(median_error(chosen, who)),
            *(_percent(mean_error(part, who)) for part in _by_day(chosen, months).values()),
        ]
        for who in chosen[0].errors
    ]
    return _markdown(["", "mean error", "median error", *(f"day {day}" for day in DAYS[months])], rows)


def halves_table(found: Measurements) -> str:
    """Both halves side by side."""
    rows = [
        [f"{name}, {half}", *_interval(outcomes[months]), _percent(mean_error(outcomes[months], OURS))]
        for months, name in ((MONTH, "months"), (QUARTER, "quarters"))
        for half, outcomes in (("held out", found.held_out), ("tuned on", found.tuning))
    ]
    return _markdown(["", *_INTERVAL, "mean error"], rows)


def interval_table(chosen: Outcomes, months: int) -> str:
    """A row per day of the period."""
    parts = _by_day(chosen, months)
    return _markdown(["known to day", *_INTERVAL], [[str(day), *_interval(part)] for day, part in parts.items()])


def families_table(chosen: Outcomes) -> str:
    """A row per family of series."""
    rows = []
    for family, part in _grouped(chosen, lambda outcome: outcome.family).items():
        names = {outcome.series for outcome in part}
        errors = (_percent(mean_error(part, who)) for who in (OURS, *(rival.name for rival in RIVALS)))
        rows.append([f"{family} ({len(names)})", *_interval(part), *errors])
    headings = [f"{who}, mean error" for who in (OURS, *(rival.name for rival in RIVALS))]
    return _markdown(["family (series)", *_INTERVAL, *headings], rows)


def page(found: Measurements) -> str:
    """All of docs/forecast-benchmark.md."""
    months, quarters = found.held_out[MONTH], found.held_out[QUARTER]
    introduction = _INTRODUCTION.format(
        forecasts=len(months),
        series=_series(months),
        days=", ".join(map(str, DAYS[MONTH])),
        least=LEAST_HISTORY,
        date=dt.datetime.now(dt.UTC).date(),
        machine=machine(),
        coverage=_percent(coverage(months)),
        width=_percent(width(months)),
    )
    measured = _series(months) + _series(found.tuning[MONTH])
    parts = [
        introduction,
        errors_table(months, MONTH),
        _COLUMNS,
        _markdown(["", "what it does"], [[who, text] for who, text in _DOES.items()]),
        f"## Is the interval honest?\n{_HONEST}\n\n{interval_table(months, MONTH)}\n\n{halves_table(found)}",
        f"## By family of series\n{families_table(months)}\n\n{_FAMILIES}",
        f"## Quarters\n{_QUARTERS.format(coverage=_percent(coverage(quarters)))}",
        errors_table(quarters, QUARTER),
        interval_table(quarters, QUARTER),
        f"## How long it takes\n{_speed(months)}",
        _HALVES.format(read=found.read, measured=measured, short=found.read - measured, least=LEAST_HISTORY),
        _LIMITS,
        _REPEAT,
    ]
    return "\n\n".join(parts)


def write(text: str) -> Path:
    """Replaces the page."""
    _PAGE.write_text(text, encoding="utf-8")
    return _PAGE


_INTERVAL = ("forecasts", "inside", "below", "above", "median width")


def _interval(chosen: Outcomes) -> list[str]:
    inside, under = coverage(chosen), below(chosen)
    return [f"{len(chosen):,}", *map(_percent, (inside, under, 1 - inside - under, width(chosen)))]


def _speed(chosen: Outcomes) -> str:
    seconds = [outcome.seconds for outcome in chosen if outcome.history >= _LONG]
    return (
        f"A forecast from {_LONG} days or more took {1e3 * median(seconds):.1f} ms in the median and "
        f"{1e3 * sorted(seconds)[len(seconds) * 99 // 100]:.1f} ms at the 99th percentile of {len(seconds):,}."
    )


def _by_day(chosen: Outcomes, months: int) -> dict[int, list[Outcome]]:
    return {day: [outcome for outcome in chosen if outcome.day == day] for day in DAYS[months]}


def _grouped(chosen: Outcomes, key: Callable[[Outcome], str]) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {}
    for outcome in chosen:
        found.setdefault(key(outcome), []).append(outcome)
    return dict(sorted(found.items()))


def _series(chosen: Outcomes) -> int:
    return len({outcome.series for outcome in chosen})


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(headings), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    texts = [f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines]
    texts.insert(1, f"|{'|'.join('-' * (size + 2) for size in widths)}|")
    return "\n".join(texts)


_INTRODUCTION = """\
# How far forecasts are off

{forecasts:,} forecasts of what a month will have cost, for {series} public daily series that nothing was tuned on: at
the ends of its days {days} wherever at least {least} days were known then. The stated 80 % interval held
{coverage} of the totals, at a median width of {width} of the total. All in one run of `python -m benchmarks.forecast`.
Measured {date} on {machine}."""

_COLUMNS = """\
**Error**: how far the month's total was missed, as a share of that total, without its sign; the **mean** is the MAPE.
By **day**: the mean of forecasts that knew the month to the end of that day. Nobody saw a later one."""

_HONEST = """\
An 80 % interval should hold 80 % of what it is stated for, with 10 % on each side of it, and no more: one that holds
everything says nothing. **Width**: from low to high, relative to the total that came."""

_FAMILIES = """\
Series of one family come from one source and move together, and a series counts several times: an interval that misses
a month at its fifth day often misses it at its tenth. The rates of single families are rough."""

_QUARTERS = """\
The same for calendar quarters, at four of their days. The quarter before is often not known whole, so that *naive* is
not asked, and `month_end` knows months alone. The interval held {coverage} of the totals; what is above 80 % there is
width that nobody needs. Years cannot be measured with series of 16 months."""

_HALVES = """\
## What was tuned on what
Of {read} series {measured} are long enough; the other {short} end before there is a whole month behind {least} days.
By name, in alphabetical order, the first, third, ... of all are the half that the method's numbers were chosen on, the
second, fourth, ... the half reported here. *Tuned on* shows how little they differ. How series that spend now and then
are treated, and that the interval is rather a little wide than narrow, was also decided with the made-up panels of
`benchmarks.detection` (seeds 1 and 2) in sight."""

_LIMITS = """\
## What this does not say
- The series are page views, rides, flights, shops and the like, each unit taken for a dollar. They have weeks, seasons,
  growth and jumps as spend has, but they are no one's spend, and no series of API costs is among them.
- The halves are of different series and of the same families: the other half is no other simulated.
- No holiday is known to any contender here, and no plan: a launch next week is in no history.
- 80 % is meant of all forecasts together. It is no promise for a single series, least of all for one that just did
  what it never did before; nor for years, whose interval is what the error of a quarter grows to if it grows as a
  random walk's.
- Histories shorter than {least} days are forecast by the project as well, and are not measured here."""

_REPEAT = """\
## Again, on your machine
```console
python -m benchmarks.forecast            # prints the tables; some seconds
python -m benchmarks.forecast --write    # and replaces this page
```

It needs `../shared/series/real_daily.csv.gz` beside the checkout, which is no part of the project, and says so where it
is not there. Nothing is left to chance: but for the time it takes, every run finds the same.
"""
_LIMITS = _LIMITS.format(least=LEAST_HISTORY)
