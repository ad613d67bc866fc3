"""`python -m benchmarks.detection [--seeds SEED ...] [--write]`: the detector and its rivals on the same panels."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence

from benchmarks.detection import report
from benchmarks.detection.contenders import CONTENDERS, Contender, Result, measure, measure_forecasts
from benchmarks.detection.forecasts import forecasts
from benchmarks.detection.generator import synthetic
from benchmarks.detection.panels import LabelledPanel
from benchmarks.detection.real_series import FILE, real
from benchmarks.detection.report import Measurements

_PUBLISHED = (101, 102, 103)
"""Nothing is ever tuned on these."""


def main() -> None:
    """Measures, prints, and writes docs/detection-benchmark.md where `--write` says so."""
    asked = _arguments()
    panels = [synthetic(seed) for seed in asked.seeds]
    print(f"{report.size(panels)}; {report.machine()}", flush=True)
    measured = _all(CONTENDERS, panels)
    print(f"\n{report.table(measured)}\n\n{report.kinds_table(measured)}\n\n{report.tags_table(measured)}", flush=True)
    real_panels = _real_panels(asked.seeds)
    on_real = _all(CONTENDERS, real_panels) if real_panels else None
    if real_panels and on_real:
        print(f"\nreal: {report.size(real_panels)}\n{report.real_table(on_real)}", flush=True)
    forecast = None if asked.without_forecasts else forecasts(panels[0], asked.seeds[0])
    beside = measure_forecasts(forecast) if forecast else None
    if beside:
        print(f"\nbeside forecasts\n{report.table(beside)}")
    found = Measurements(asked.seeds, panels, measured, real_panels, on_real, forecast, beside)
    if asked.write:
        print(f"\nwritten: {report.write(report.page(found)).name}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(_PUBLISHED))
    parser.add_argument("--without-forecasts", action="store_true", help="which take most of the time")
    parser.add_argument("--write", action="store_true", help="replace docs/detection-benchmark.md")
    return parser.parse_args()


def _all(chosen: Iterable[Contender], panels: Sequence[LabelledPanel]) -> dict[Contender, Result]:
    return {contender: measure(contender, panels) for contender in chosen}


def _real_panels(seeds: Sequence[int]) -> list[LabelledPanel] | None:
    try:
        return [real(seed) for seed in seeds]
    except FileNotFoundError:
        print(f"\n*** REAL SERIES ARE NOT MEASURED: no {FILE.name} beside the checkout\n", file=sys.stderr)
        return None


if __name__ == "__main__":
    main()
