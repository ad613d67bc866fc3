"""`python -m benchmarks.forecast [--write]`: the forecast and its rivals on the same months of real series."""

from __future__ import annotations

import argparse

from benchmarks.detection.real_series import FILE
from benchmarks.forecast import report
from benchmarks.forecast.periods import MONTH, QUARTER
from benchmarks.forecast.rolling import outcomes
from benchmarks.forecast.series import Series, halves, read


def main() -> None:
    """Measures, prints, and writes docs/forecast-benchmark.md where `--write` says so."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast", description=__doc__)
    parser.add_argument("--write", action="store_true", help="replace docs/forecast-benchmark.md")
    asked = parser.parse_args()
    series = _series()
    tuning, held_out = (
        {months: outcomes(half, months) for months in (MONTH, QUARTER)} for half in halves(series)
    )  # fmt: skip
    found = report.Measurements(len(series), tuning, held_out)
    print(report.tables(found))
    if asked.write:
        print(f"\nwritten: {report.write(report.page(found)).name}")


def _series() -> list[Series]:
    try:
        return read()
    except FileNotFoundError:
        raise SystemExit(f"nothing is measured: no ../shared/series/{FILE.name} beside the checkout") from None


if __name__ == "__main__":
    main()
