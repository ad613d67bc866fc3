"""The report: formats forecast outcomes as tables and writes docs/forecast-benchmark.md."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.detection.report import machine
from benchmarks.forecast.contenders import SIMPLE_FORECASTS
from benchmarks.forecast.periods import DAYS, LEAST_HISTORY, MONTH, QUARTER
from benchmarks.forecast.rolling import OURS, Outcome, below, coverage, mean_error, median_error, width

Outcomes = Sequence[Outcome]

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "forecast-benchmark.md"
_LONG = 365
_CONTENDERS = (OURS, *(forecast.name for forecast in SIMPLE_FORECASTS))
_DESCRIPTIONS = {OURS: "`openai_costs_dagster.spend.forecast`"} | {
    forecast.name: forecast.description for forecast in SIMPLE_FORECASTS
}


@dataclass(frozen=True)
class Measurements:
    """The measurements of one run."""

    read: int
    """The number of series in the file."""
    tuning: Mapping[int, Outcomes]
    """The outcomes on the tuning half, by the number of months per period."""
    held_out: Mapping[int, Outcomes]
    """The outcomes on the held-out half, by the number of months per period."""


def tables(measurements: Measurements) -> str:
    """Return the printed tables."""
    months, quarters = measurements.held_out[MONTH], measurements.held_out[QUARTER]
    parts = [
        "months, held out",
        errors_table(months, MONTH),
        halves_table(measurements),
        interval_table(months, MONTH),
        families_table(months),
        "quarters, held out",
        errors_table(quarters, QUARTER),
        interval_table(quarters, QUARTER),
        _speed(months),
    ]
    return "\n\n".join(parts)


def errors_table(chosen: Outcomes, months: int) -> str:
    """Return a table with the mean, median and daily errors of each contender."""
    rows = [
        [
            contender,
            _percent(mean_error(chosen, contender)),
            _percent(median_error(chosen, contender)),
            *(_percent(mean_error(part, contender)) for part in _by_day(chosen, months).values()),
        ]
        for contender in chosen[0].errors
    ]
    return _markdown(["", "mean error", "median error", *(f"day {day}" for day in DAYS[months])], rows)


def halves_table(measurements: Measurements) -> str:
    """Return a table that compares both halves."""
    rows = [
        [f"{name}, {half}", *_interval(outcomes[months]), _percent(mean_error(outcomes[months], OURS))]
        for months, name in ((MONTH, "months"), (QUARTER, "quarters"))
        for half, outcomes in (("held out", measurements.held_out), ("tuned on", measurements.tuning))
    ]
    return _markdown(["", *_INTERVAL, "mean error"], rows)


def interval_table(chosen: Outcomes, months: int) -> str:
    """Return a table of the interval's coverage by day of the period."""
    parts = _by_day(chosen, months)
    return _markdown(["known to day", *_INTERVAL], [[str(day), *_interval(part)] for day, part in parts.items()])


def families_table(chosen: Outcomes) -> str:
    """Return a table of coverage and errors by family of series."""
    rows = []
    for family, part in _grouped(chosen, lambda outcome: outcome.family).items():
        names = {outcome.series for outcome in part}
        errors = (_percent(mean_error(part, contender)) for contender in _CONTENDERS)
        rows.append([f"{family} ({len(names)})", *_interval(part), *errors])
    headings = [f"{contender}, mean error" for contender in _CONTENDERS]
    return _markdown(["family (series)", *_INTERVAL, *headings], rows)


def page(measurements: Measurements) -> str:
    """Return the text of docs/forecast-benchmark.md."""
    months, quarters = measurements.held_out[MONTH], measurements.held_out[QUARTER]
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
    measured = _series(months) + _series(measurements.tuning[MONTH])
    parts = [
        introduction,
        errors_table(months, MONTH),
        _COLUMNS,
        _markdown(["contender", "description"], [[contender, text] for contender, text in _DESCRIPTIONS.items()]),
        f"## Coverage of the interval\n{_COVERAGE}\n\n{interval_table(months, MONTH)}\n\n{halves_table(measurements)}",
        f"## Families of series\n{families_table(months)}\n\n{_FAMILIES}",
        f"## Quarters\n{_QUARTERS.format(coverage=_percent(coverage(quarters)))}",
        errors_table(quarters, QUARTER),
        interval_table(quarters, QUARTER),
        f"## Speed\n{_speed(months)}",
        _HALVES.format(
            read=measurements.read, measured=measured, short=measurements.read - measured, least=LEAST_HISTORY
        ),
        _LIMITS,
        _REPEAT,
    ]
    return "\n\n".join(parts)


def write(text: str) -> Path:
    """Write the page and return its path."""
    _PAGE.write_text(text, encoding="utf-8")
    return _PAGE


_INTERVAL = ("forecasts", "inside", "below", "above", "median width")


def _interval(chosen: Outcomes) -> list[str]:
    inside, under = coverage(chosen), below(chosen)
    return [f"{len(chosen):,}", *map(_percent, (inside, under, 1 - inside - under, width(chosen)))]


def _speed(chosen: Outcomes) -> str:
    seconds = [outcome.seconds for outcome in chosen if outcome.history >= _LONG]
    return (
        f"A forecast from at least {_LONG} days of history took {1e3 * median(seconds):.1f} ms at the median and "
        f"{1e3 * sorted(seconds)[len(seconds) * 99 // 100]:.1f} ms at the 99th percentile ({len(seconds):,} forecasts)."
    )


def _by_day(chosen: Outcomes, months: int) -> dict[int, list[Outcome]]:
    return {day: [outcome for outcome in chosen if outcome.day == day] for day in DAYS[months]}


def _grouped(chosen: Outcomes, key: Callable[[Outcome], str]) -> dict[str, list[Outcome]]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in chosen:
        groups.setdefault(key(outcome), []).append(outcome)
    return dict(sorted(groups.items()))


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
# Forecast benchmark

The benchmark makes {forecasts:,} forecasts of a month's cost for {series} public daily series that were not used for
tuning. Each month is forecast at the end of its days {days} if at least {least} days of history are known
then. The stated 80 % interval contained {coverage} of the actual totals, with a median width of {width} of the total.
All figures come from one run of `python -m benchmarks.forecast`. Measured {date} on {machine}."""

_COLUMNS = """\
The **error** of a forecast is the absolute difference from the actual total, as a share of that total. The **mean
error** is the MAPE. The columns by **day** contain the mean error of the forecasts that knew the month up to the end of
that day."""

_COVERAGE = """\
An 80 % interval should contain 80 % of the actual totals, with 10 % of them on each side. An interval that contains
everything is useless. The **width** is the distance from the low to the high bound, relative to the actual total."""

_FAMILIES = """\
The series of one family have the same source and move together, and each series is forecast several times. An interval
that misses a month at day 5 often misses it at day 10 as well, so the rates of single families are rough."""

_QUARTERS = """\
Calendar quarters are forecast at four of their days. The *naive* forecast is left out, because the quarter before is
often not known completely, and *four weeks* is left out, because it forecasts months only. The interval contained
{coverage} of the actual totals, so it is wider than necessary. Years cannot be measured with series of 16 months."""

_HALVES = """\
## Tuning and held-out series
The file contains {read} series. {measured} of them are long enough; the other {short} end before they have a complete
month after {least} days.
In alphabetical order, the odd-numbered series were used to tune the method and the even-numbered ones are
reported here.
The rows *tuned on* show that the halves differ little. The treatment of intermittent series, and the decision for
slightly wide intervals, also took the synthetic panels of `benchmarks.detection` (seeds 1 and 2) into account."""

_LIMITS = """\
## Limitations
- The series are page views, rides, flights, shops and similar data, with one unit counted as one US dollar. They have
  weeks, seasons, growth and jumps like spend, but none of them is API spend.
- The held-out series belong to the same families as the tuning series.
- No contender knows holidays or plans, so none can forecast a launch.
- The 80 % of the interval refer to all forecasts together, and are not a promise for a single series, especially after
  unprecedented changes. The intervals of years are not measured. These intervals assume that the error of a quarter
  grows like a random walk.
- Forecasts from histories shorter than {least} days are supported but not measured."""

_REPEAT = """\
## Run the benchmark
```console
python -m benchmarks.forecast            # print the tables; takes some seconds
python -m benchmarks.forecast --write    # replace this page
```

The benchmark needs the file `../shared/series/real_daily.csv.gz` next to the checkout, which is not part of the
project, and reports an error without it. Apart from the time measurements, every run gives the same figures.
"""
_LIMITS = _LIMITS.format(least=LEAST_HISTORY)
