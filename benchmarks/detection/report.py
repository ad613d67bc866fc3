"""The report: formats results as tables and writes docs/detection-benchmark.md."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.detection import archetypes
from benchmarks.detection.contenders import ORACLE, OURS, Contender, Result
from benchmarks.detection.forecasts import Forecasts
from benchmarks.detection.injection import DAYS_PER_MONTH
from benchmarks.detection.kinds import KINDS
from benchmarks.detection.panels import LabelledPanel
from benchmarks.detection.scoring import NATURAL

Results = Mapping[Contender, Result]

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "detection-benchmark.md"
_COMPARED = (OURS["medium"], ORACLE)
_HEADINGS = (
    "",
    "recall",
    "precision",
    "F1",
    "false alerts per series-month",
    "mean delay, days",
    "dollars found",
    "per new series",
    "µs per series-day",
)
_REAL_HEADINGS = (
    "",
    "recall",
    "precision",
    "without natural jumps",
    "false alerts per series-month",
    "without natural jumps",
    "mean delay, days",
    "dollars found",
)
_TAGS = {
    "other": "no special circumstances",
    "holiday": "a holiday of the organization",
    "month_end": "the turn of a month, at which the series always spends more",
    "cold_start": "the first two weeks of a series that is adopted gradually",
    "dead": "the last month of a series and the days after its end",
    "migration": "a migration of spend between two models",
    "recovery": "the week after an anomaly",
    "after_shift": "a new level after its first two weeks",
    "sparse": "an intermittent series",
    "tiny": "a series of a few cents",
}


@dataclass(frozen=True)
class Measurements:
    """The measurements of one run. A part that could not be measured is None."""

    seeds: Sequence[int]
    panels: Sequence[LabelledPanel]
    synthetic: Results
    real_panels: Sequence[LabelledPanel] | None
    real: Results | None
    forecasts: Forecasts | None
    forecast_comparison: Results | None


def machine() -> str:
    """Return a description of the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory().total / 2**30
    return f"{cores} cores, {memory:.0f} GiB of memory, {platform.system()}, Python {platform.python_version()}"


def size(panels: Sequence[LabelledPanel]) -> str:
    """Return the number of series, series-months and anomalies, as text."""
    leaves = sum(len(panel.leaves) for panel in panels)
    events = sum(len(panel.events) for panel in panels)
    months = sum(int(panel.scored.sum()) for panel in panels) / DAYS_PER_MONTH
    return f"{leaves:,} leaf series, {months:,.0f} scored series-months and {events:,} anomalies"


def table(results: Results) -> str:
    """Return a table with a row per contender."""
    return _markdown(_HEADINGS, [_row(contender, result) for contender, result in results.items()])


def real_table(results: Results) -> str:
    """Return the table of the panels with real series, whose own jumps are not labeled."""
    return _markdown(_REAL_HEADINGS, [_real_row(contender, result) for contender, result in results.items()])


def kinds_table(results: Results) -> str:
    """Return a table of the recall and delay by kind of anomaly."""
    headings = [
        "kind",
        "description",
        "anomalies",
        *(f"{contender.name}{text}" for contender in _COMPARED for text in ("", ", delay")),
    ]
    return _markdown(headings, [_kind_row(name, results) for name in KINDS])


def tags_table(results: Results) -> str:
    """Return a table of the false alerts by kind of day."""
    scores = [results[contender].score for contender in _COMPARED]
    days = scores[0].days
    rows = [
        [
            f"`{tag}`",
            _TAGS.get(tag, ""),
            f"{count / DAYS_PER_MONTH:,.0f}",
            *(str(one.false_alerts[tag]) for one in scores),
        ]
        for tag, count in days.most_common()
    ]
    return _markdown(["day", "description", "series-months", *(contender.name for contender in _COMPARED)], rows)


def page(measurements: Measurements) -> str:
    """Return the text of docs/detection-benchmark.md."""
    parts = [
        _INTRODUCTION.format(
            count=len(measurements.panels),
            size=size(measurements.panels),
            seeds=", ".join(map(str, measurements.seeds)),
            date=dt.datetime.now(dt.UTC).date(),
            machine=machine(),
        ),
        table(measurements.synthetic),
        _COLUMNS,
        _contenders(measurements.synthetic),
        f"## Comparison with forecasting models\n{_forecasts_text(measurements)}",
        f"## By kind of anomaly\n{kinds_table(measurements.synthetic)}",
        f"## False alerts\n{_FALSE_ALERTS}\n\n{tags_table(measurements.synthetic)}",
        f"## Real series\n{_real_series_text(measurements)}",
        _PANEL.format(archetypes=_archetypes()),
        _LIMITS,
        _REPEAT,
    ]
    return "\n\n".join(parts)


def write(text: str) -> Path:
    """Write the page and return its path."""
    _PAGE.write_text(text, encoding="utf-8")
    return _PAGE


def _row(contender: Contender, result: Result) -> list[str]:
    score = result.score
    return [
        contender.name,
        f"{score.recall:.3f}",
        f"{score.precision:.3f}",
        f"{score.f1:.3f}{_range(result)}",
        f"{score.false_alerts_per_series_month:.3f}",
        f"{score.mean_delay:.1f}",
        f"{score.dollars_found:.3f}",
        f"{score.cold_starts_per_new_series:.2f}",
        _microseconds(result.microseconds),
    ]


def _range(result: Result) -> str:
    single = [one.f1 for one in result.scores]
    return f" ({min(single):.2f} to {max(single):.2f})" if len(single) > 1 else ""


def _microseconds(value: float) -> str:
    if value >= 10:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 0.1 else "< 0.1"


def _real_row(contender: Contender, result: Result) -> list[str]:
    score = result.score
    unlabelled = score.false_alerts[NATURAL] / score.series_months
    return [
        contender.name,
        f"{score.recall:.3f}",
        f"{score.precision:.3f}",
        f"{score.precision_without_natural:.3f}",
        f"{score.false_alerts_per_series_month:.3f}",
        f"{score.false_alerts_per_series_month - unlabelled:.3f}",
        f"{score.mean_delay:.1f}",
        f"{score.dollars_found:.3f}",
    ]


def _kind_row(name: str, results: Results) -> list[str]:
    what = (KINDS[name][1].__doc__ or "").partition("\n")[0].rstrip(".")
    scores = [results[contender].score.of_kind(name) for contender in _COMPARED]
    cells = [cell for one in scores for cell in (f"{one.recall:.2f}", f"{one.mean_delay:.1f}" if one.found else "")]
    return [f"`{name}`", what, str(len(scores[0].outcomes)), *cells]


def _contenders(results: Results) -> str:
    return "\n".join(
        [
            "| contender | description |",
            "|---|---|",
            *(f"| {contender.name} | {contender.description} |" for contender in results),
        ]
    )


def _forecasts_text(measurements: Measurements) -> str:
    if measurements.forecasts is None or measurements.forecast_comparison is None:
        return "Not measured in this run: statsforecast was skipped or could not be installed."
    text = _FORECASTS.format(
        version=measurements.forecasts.version,
        count=len(measurements.forecasts.panel.leaves),
        events=len(measurements.forecasts.panel.events),
        seed=measurements.seeds[0],
    )
    return f"{text}\n\n{table(measurements.forecast_comparison)}"


def _real_series_text(measurements: Measurements) -> str:
    if measurements.real_panels is None or measurements.real is None:
        return "Not measured in this run: the file of real series does not exist next to the checkout."
    text = _REAL.format(count=len(measurements.real_panels), size=size(measurements.real_panels))
    return f"{text}\n\n{real_table(measurements.real)}"


def _archetypes() -> str:
    whole = sum(archetypes.SHARES.values())
    return ", ".join(f"`{name}` {100 * share / whole:.0f} %" for name, share in archetypes.SHARES.items())


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns."""
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    texts.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(texts)


_INTRODUCTION = """\
# Detection benchmark

The benchmark compares the detector with common rules on {count} synthetic panels (seeds {seeds}): {size}.
Every rule evaluates every day of every leaf series (a model within a project) by the data known at the end of the day.
All figures come from one run of `python -m benchmarks.detection`. Measured {date} on {machine}."""

_COLUMNS = """\
An anomaly is **found** if at least one of its days is flagged.

- **Recall**: the share of anomalies that are found.
- **False alert**: a flag outside every anomaly of its series. False alerts of a series within seven days count once.
- **Precision**: found anomalies divided by the sum of found anomalies and false alerts.
- **F1**: the harmonic mean of recall and precision. The worst and the best panel are in brackets.
- **Mean delay**: the days from the first day of an anomaly to its first flag; 0 is the same day.
- **Dollars found**: recall weighted by the US dollars that each anomaly moved.
- **Per new series**: false alerts within the first two weeks of a model that is adopted gradually.
- **µs per series-day**: wall clock time of one run, per day of a leaf series. The detector also evaluates the totals of
  projects, models and organizations in this time; the rules do not."""

_FORECASTS = """\
Fitting statsforecast {version} takes too long for all panels. This comparison uses {count} leaf series with {events}
anomalies, drawn from the panel of seed {seed}. Every contender is scored on these series; the detector has the whole
panel available. The models need at least four weeks of data, are fitted again every week to all earlier days, and flag
every day outside their 99 % interval. With so few anomalies only large differences are significant."""

_FALSE_ALERTS = """\
The table groups the false alerts by kind of day. All contenders are scored on the same months of the same series."""

_REAL = """\
These {count} panels use the normal days of public daily series: page views, bikes, buses, flights, shops, electricity,
pedestrians and posts. The values are scaled to US dollars and grouped into organizations, and the same kinds of
anomalies are injected: {size}.

Real series also contain jumps that nobody labeled. A flag on such a jump counts as a false alert, so every contender
has a low precision. *Without natural jumps* excludes flags on days that a retrospective estimate identifies as jumps.
The oracle uses the same estimate."""

_PANEL = """\
## Panels
A panel has 11 to 14 organizations over about ten months. Each organization has three to five projects of two to five
models, and some models start later. The first 60 days of an organization contain no anomalies and are not scored. The
leaf series are
{archetypes}.

Weekends are up to 85 % lower. The noise is log-normal with a standard deviation of 6 to 35 %, and up to 50 % for
`noisy` series. The noise is correlated from day to day, and one series in five has heavy tails. Organizations rest on
the holidays of their region. Some series spend more at each turn of the month, are adopted over weeks, wind down, or
migrate to another model of their project.

Each series has 0.19 anomalies per month. Anomalies occur in series that usually cost at least $2.50 per day ($0.70 in
small projects) and move at least $3 in total. Small rises are more common than large rises. Anomalies of one series
are at least ten days apart. The code of the generator is in `benchmarks/detection/`."""

_LIMITS = """\
## Limitations
- The project generates the panels, and the parameters of the detector were tuned on other seeds of the same generator.
  Nothing was tuned on these seeds. Data that differs from the generator, for example real series, is harder.
- The compared rules are measured with their default settings. The rows with $5 show the effect of the most
  obvious adjustment.
- The oracle is not an upper bound. It evaluates each day alone, so it can miss an anomaly that is small every day.
- Only leaf series are scored, not findings on projects and organizations, and not the reduction to root causes."""

_REPEAT = """\
## Run the benchmark
```console
python -m benchmarks.detection                   # print the tables; takes some minutes
python -m benchmarks.detection --seeds 1 2 3     # use other panels
python -m benchmarks.detection --write           # replace this page
```

The same seed always generates the same panel. The benchmark installs statsforecast into its own environment,
`benchmarks/detection/.venv-statsforecast`. If the installation fails, or if the file of real series
`../shared/series/real_daily.csv.gz` does not exist next to the checkout, the benchmark skips that part and prints a
warning.
"""
