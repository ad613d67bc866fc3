"""Rendered days, kept so that a year is answered as fast as it is sent.

It must never outlive a change: an organization's revision is part of what a day is kept under, and today,
which grows with the clock, and days whose usage may be yet to come are not kept at all.
"""

import threading
from collections.abc import Hashable
from datetime import date, datetime, timedelta

from openai_costs_dagster.simulator.buckets import DayView, render_bucket
from openai_costs_dagster.simulator.deviations import Deviations
from openai_costs_dagster.simulator.organization import SimulatedOrganization

# Some ten years of days; a day of forty rows is about 20 KB of text.
_MOST_DAYS = 4_000


class RenderedBuckets:
    """A `buckets.BucketRenderer` that renders every past day once for each view. Safe to share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[Hashable, str] = {}

    def __call__(
        self, organization: SimulatedOrganization, day: date, view: DayView, deviations: Deviations, now: datetime
    ) -> str:
        """The JSON text of one UTC day at `now`."""
        if day >= now.date() - timedelta(days=organization.usage_delay_days):
            return render_bucket(organization, day, view, deviations, now)
        # The revision is read first: a change made meanwhile leaves a text that is never asked for again.
        key = (
            organization,
            organization.revision,
            organization.organization_id,
            organization.name,
            day,
            view,
            deviations,
        )
        with self._lock:
            text = self._texts.get(key)
        if text is None:
            text = render_bucket(organization, day, view, deviations, now)
            with self._lock:
                if len(self._texts) >= _MOST_DAYS:
                    self._texts.clear()
                self._texts[key] = text
        return text
