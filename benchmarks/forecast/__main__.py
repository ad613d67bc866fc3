"""`python -m benchmarks.forecast [--write]`: compares the forecast with simple forecasts on real series."""

from __future__ import annotations

import argparse

from benchmarks.detection.real_series import FILE
from benchmarks.forecast import report
from benchmarks.forecast.periods import MONTH, QUARTER
from benchmarks.forecast.rolling import outcomes
from benchmarks.forecast.series import Series, halves, read


def main() -> None:
    """Measure, print the tables, and write docs/forecast-benchmark.md with `--write`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast", description=__doc__)
    parser.add_argument("--write", action="store_true", help="replace docs/forecast-benchmark.md")
    arguments = parser.parse_args()
    series = _series()
    tuning, held_out = (
        {months: outcomes(half, months) for months in (MONTH, QUARTER)} for half in halves(series)
    )  # fmt: skip
    measurements = report.Measurements(len(series), tuning, held_out)
    print(report.tables(measurements))
    if arguments.write:
        print(f"\nWrote {report.write(report.page(measurements)).name}")


def _series() -> list[Series]:
    try:
        return read()
    except FileNotFoundError:
        raise SystemExit(f"Nothing was measured: place {FILE.name} in ../shared/series next to the checkout.") from None


if __name__ == "__main__":
    main()
