"""Puts results into tables, and into docs/detection-benchmark.md where that is asked for."""

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
_CLOSELY = (OURS["medium"], ORACLE)
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
    "but natural",
    "false alerts per series-month",
    "but natural",
    "mean delay, days",
    "dollars found",
)
_TAGS = {
    "other": "nothing special",
    "holiday": "its organization rests",
    "month_end": "a turn of the month, at which this series always spends more",
    "cold_start": "the first two weeks of a series that is being adopted",
    "dead": "the last month of a series that ends, and after it",
    "migration": "spend is moving, or has just moved, between two models",
    "recovery": "the week after an anomaly",
    "after_shift": "a new level that is older than two weeks",
    "sparse": "a series that spends now and then",
    "tiny": "a series of cents",
}


@dataclass(frozen=True)
class Measurements:
    """Everything that was found; None where it could not be measured."""

    seeds: Sequence[int]
    panels: Sequence[LabelledPanel]
    synthetic: Results
    real_panels: Sequence[LabelledPanel] | None
    real: Results | None
    forecasts: Forecasts | None
    beside_forecasts: Results | None


def machine() -> str:
    """What it was measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory().total / 2**30
    return f"{cores} cores, {memory:.0f} GiB of memory, {platform.system()}, Python {platform.python_version()}"


def size(panels: Sequence[LabelledPanel]) -> str:
    """How much is judged, in words."""
    leaves = sum(len(panel.leaves) for panel in panels)
    events = sum(len(panel.events) for panel in panels)
    months = sum(int(panel.scored.sum()) for panel in panels) / DAYS_PER_MONTH
    return f"{leaves:,} leaf series, {months:,.0f} scored series-months and {events:,} anomalies"


def table(results: Results) -> str:
    """A row per contender."""
    return _markdown(_HEADINGS, [_row(who, result) for who, result in results.items()])


def real_table(results: Results) -> str:
    """The same of real backgrounds, whose own jumps are nobody's labels."""
    return _markdown(_REAL_HEADINGS, [_real_row(who, result) for who, result in results.items()])


def kinds_table(results: Results) -> str:
    """How many anomalies of each kind were found."""
    headings = [
        "kind",
        "what happens",
        "of them",
        *(f"{who.name}{text}" for who in _CLOSELY for text in ("", ", delay")),
    ]
    return _markdown(headings, [_kind_row(name, results) for name in KINDS])


def tags_table(results: Results) -> str:
    """On which days false alerts were."""
    scores = [results[who].score for who in _CLOSELY]
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
    return _markdown(["day", "what it is", "series-months", *(who.name for who in _CLOSELY)], rows)


def page(found: Measurements) -> str:
    """All of docs/detection-benchmark.md."""
    parts = [
        _INTRODUCTION.format(
            count=len(found.panels),
            size=size(found.panels),
            seeds=", ".join(map(str, found.seeds)),
            date=dt.datetime.now(dt.UTC).date(),
            machine=machine(),
        ),
        table(found.synthetic),
        _COLUMNS,
        _contenders(found.synthetic),
        f"## Beside forecasts\n{_beside_forecasts(found)}",
        f"## By kind of anomaly\n{kinds_table(found.synthetic)}",
        f"## False alerts\n{_FALSE_ALERTS}\n\n{tags_table(found.synthetic)}",
        f"## On real series\n{_on_real_series(found)}",
        _PANEL.format(archetypes=_archetypes()),
        _LIMITS,
        _REPEAT,
    ]
    return "\n\n".join(parts)


def write(text: str) -> Path:
    """Replaces the page."""
    _PAGE.write_text(text, encoding="utf-8")
    return _PAGE


def _row(who: Contender, result: Result) -> list[str]:
    score = result.score
    return [
        who.name,
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


def _real_row(who: Contender, result: Result) -> list[str]:
    score = result.score
    unlabelled = score.false_alerts[NATURAL] / score.series_months
    return [
        who.name,
        f"{score.recall:.3f}",
        f"{score.precision:.3f}",
        f"{score.precision_but_natural:.3f}",
        f"{score.false_alerts_per_series_month:.3f}",
        f"{score.false_alerts_per_series_month - unlabelled:.3f}",
        f"{score.mean_delay:.1f}",
        f"{score.dollars_found:.3f}",
    ]


def _kind_row(name: str, results: Results) -> list[str]:
    what = (KINDS[name][1].__doc__ or "").partition("\n")[0].rstrip(".")
    scores = [results[who].score.of_kind(name) for who in _CLOSELY]
    cells = [cell for one in scores for cell in (f"{one.recall:.2f}", f"{one.mean_delay:.1f}" if one.found else "")]
    return [f"`{name}`", what, str(len(scores[0].outcomes)), *cells]


def _contenders(results: Results) -> str:
    return "\n".join(["| | what it does |", "|---|---|", *(f"| {who.name} | {who.what} |" for who in results)])


def _beside_forecasts(found: Measurements) -> str:
    if found.forecasts is None or found.beside_forecasts is None:
        return "Not measured in this run: statsforecast was left out, or could not be installed."
    said = _FORECASTS.format(
        version=found.forecasts.version,
        count=len(found.forecasts.panel.leaves),
        events=len(found.forecasts.panel.events),
        seed=found.seeds[0],
    )
    return f"{said}\n\n{table(found.beside_forecasts)}"


def _on_real_series(found: Measurements) -> str:
    if found.real_panels is None or found.real is None:
        return "Not measured in this run: the file of real series was not beside the checkout."
    said = _REAL.format(count=len(found.real_panels), size=size(found.real_panels))
    return f"{said}\n\n{real_table(found.real)}"


def _archetypes() -> str:
    whole = sum(archetypes.SHARES.values())
    return ", ".join(f"`{name}` {100 * share / whole:.0f} %" for name, share in archetypes.SHARES.items())


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that reads well as text too."""
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    texts.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(texts)


_INTRODUCTION = """\
# How well anomalies are found

{count} made-up panels (seeds {seeds}): {size}.
Every rule judges every day of every leaf series (a model within a project) by what was known at its end, all in one
run of `python -m benchmarks.detection`. Measured {date} on {machine}."""

_COLUMNS = """\
An anomaly is **found** where any of its days is flagged; **recall** is found of all. A flag outside every anomaly of
its series is a **false alert**, one per series in seven days at most. **Precision** is found anomalies over those and
false alerts; **F1** the harmonic mean of the two, in brackets that of the worst and of the best panel. **Delay**: from
an anomaly's first day to its first flag, 0 being the same day. **Dollars found**: recall weighed by what each anomaly
moved. **Per new series**: false alerts within the first two weeks of a model that is adopted as usual. **µs**: wall
clock of one run, per day of a leaf series; ours judges the totals of projects, models and organizations in the same
time, which the others do not."""

_FORECASTS = """\
statsforecast {version} takes too long for all panels: these are {count} leaf series with {events} anomalies, drawn from
the panel of seed {seed}; everyone beside it is scored on the same ones, ours with the whole panel at hand. Its models
see at least four weeks, are fitted anew every week to all days before, and flag what lies outside their 99 % interval.
So few anomalies tell large differences only."""

_FALSE_ALERTS = """\
Days on which ordinary spend looks odd, and how many false alerts were on them. Every series-month was scored by all."""

_REAL = """\
{count} panels whose ordinary days really happened: public daily series (page views, bikes, buses, flights, shops,
electricity, pedestrians, posts), scaled to dollars and put into organizations, with the same kinds of anomaly planted:
{size}.

Real series also jump by themselves. Nobody labelled where, so that a flag there counts as a false alert, and precision
is low for everyone. *But natural* leaves out flags on days that hindsight, an estimate from both sides, calls jumps.
The oracle knows no more than that hindsight here."""

_PANEL = """\
## What a panel is made of
11 to 14 organizations over about ten months, each of three to five projects of two to five models, some joining
later. The first 60 days of an organization have no anomalies and are not scored. Leaf series are
{archetypes}.
Weekends are quieter by up to 85 %; noise is log-normal with a deviation of 6 to 35 %, of `noisy` series up to 50 %,
correlated from day to day, one in five with heavy tails. Organizations rest on the holidays of their region; some
series spend more at each turn of the month, are adopted over weeks, wind down, or move to another model of their
project.

Anomalies come at 0.19 per series-month, in series that usually cost at least $2.50 a day (small projects: $0.70),
and move at least $3 in all; small multiples come more often than large ones. They are at least ten days apart.
Numbers and code: `benchmarks/detection/`."""

_LIMITS = """\
## What this does not say
- The panels are ours, and the detector's numbers were chosen on other seeds of the same generator. Nothing was
  chosen on these; but a simulated that is unlike the generator's, real series for one, is harder than this table.
- Rules are measured as they come. Each could be tuned; rows with $5 show what the most obvious step does for them.
- The oracle is no upper bound: it judges each day alone, and what is small every day and lasts can escape it.
- Only leaves are scored. What the detector says of projects and organizations, and how it joins findings of one
  cause, is not."""

_REPEAT = """\
## Again, on your machine
```console
python -m benchmarks.detection                   # prints the tables; some minutes
python -m benchmarks.detection --seeds 1 2 3     # other panels
python -m benchmarks.detection --write           # and replaces this page
```

The same seed makes the same panel. statsforecast gets an environment of its own,
`benchmarks/detection/.venv-statsforecast`, when it is first measured; where it cannot be installed, it is left out,
and that is said. So are the real series where their file, `../shared/series/real_daily.csv.gz`, is not beside the
checkout.
"""
