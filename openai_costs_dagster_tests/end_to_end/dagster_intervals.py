"""Settings that shorten the intervals of Dagster's daemon and prevent scheduled refreshes during a test."""

from __future__ import annotations

import datetime as dt

from ..cli.program import Workplace

_EVERY_SECOND = """
# Dagster's backfill daemon polls every 30 seconds, and no setting changes this interval.
from dagster._daemon import controller

controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 1
"""


def run_daemons_every_second(place: Workplace) -> None:
    """Let Dagster daemons of this working directory run every second."""
    folder = place.folder / "dagster_intervals"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_EVERY_SECOND)
    place.environment["PYTHONPATH"] = str(folder)


_EVERY_MINUTE = """
# Five minutes are the shortest interval of the intraday refresh, and a test need not wait for them.
from openai_costs_dagster.configuration.settings import Refresh

Refresh.intraday_cron = property(lambda self: "* * * * *")
"""


def run_intraday_every_minute(place: Workplace) -> None:
    """Run the intraday refresh every minute.

    Call `run_daemons_every_second` first, which creates the file that this function extends.
    """
    with (place.folder / "dagster_intervals" / "sitecustomize.py").open("a") as file:
        file.write(_EVERY_MINUTE)


def refresh_at_another_time() -> dict[str, object]:
    """Return refresh settings whose next scheduled tick is about twelve hours away."""
    hour = (dt.datetime.now(dt.UTC).hour + 12) % 24
    return {"cron": f"30 {hour} * * *", "deep_cron": f"30 {hour} * * 0", "intraday_minutes": None}
