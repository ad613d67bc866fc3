"""`python -m benchmarks.detection [--seeds SEED ...] [--write]`: compares the detector with rules."""

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
"""The published seeds, on which nothing is tuned."""


def main() -> None:
    """Measure, print the tables, and write docs/detection-benchmark.md with `--write`."""
    arguments = _arguments()
    panels = [synthetic(seed) for seed in arguments.seeds]
    print(f"{report.size(panels)}; {report.machine()}", flush=True)
    measured = _all(CONTENDERS, panels)
    print(f"\n{report.table(measured)}\n\n{report.kinds_table(measured)}\n\n{report.tags_table(measured)}", flush=True)
    real_panels = _real_panels(arguments.seeds)
    real_results = _all(CONTENDERS, real_panels) if real_panels else None
    if real_panels and real_results:
        print(f"\nreal series: {report.size(real_panels)}\n{report.real_table(real_results)}", flush=True)
    forecast = None if arguments.without_forecasts else forecasts(panels[0], arguments.seeds[0])
    compared = measure_forecasts(forecast) if forecast else None
    if compared:
        print(f"\nforecasting models\n{report.table(compared)}")
    measurements = Measurements(arguments.seeds, panels, measured, real_panels, real_results, forecast, compared)
    if arguments.write:
        print(f"\nWrote {report.write(report.page(measurements)).name}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(_PUBLISHED))
    parser.add_argument(
        "--without-forecasts", action="store_true", help="skip statsforecast, which takes most of the time"
    )
    parser.add_argument("--write", action="store_true", help="replace docs/detection-benchmark.md")
    return parser.parse_args()


def _all(chosen: Iterable[Contender], panels: Sequence[LabelledPanel]) -> dict[Contender, Result]:
    return {contender: measure(contender, panels) for contender in chosen}


def _real_panels(seeds: Sequence[int]) -> list[LabelledPanel] | None:
    try:
        return [real(seed) for seed in seeds]
    except FileNotFoundError:
        print(f"\nWarning: skipped the real series; {FILE} does not exist.\n", file=sys.stderr)
        return None


if __name__ == "__main__":
    main()
