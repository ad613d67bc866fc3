"""A cache of rendered days, without which a request for a year would spend most of its time on rendering.

The cache key contains the revision of the organization, so that changed data are rendered again. The current day is not
cached, because its data grow with the clock. Days for which usage is still delayed are not cached either.
"""

import threading
from collections.abc import Hashable
from datetime import date, datetime, timedelta

from openai_costs_dagster.simulator.buckets import DayView, render_bucket
from openai_costs_dagster.simulator.deviations import Deviations
from openai_costs_dagster.simulator.organization import SimulatedOrganization

# The limit of cached days, about ten years. A day with forty rows takes about 20 KB of memory.
_MAX_DAYS = 4_000


class RenderedBuckets:
    """A `buckets.BucketRenderer` that renders every past day only once per view. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[Hashable, str] = {}

    def __call__(
        self, organization: SimulatedOrganization, day: date, view: DayView, deviations: Deviations, now: datetime
    ) -> str:
        """Return the JSON text of the bucket of one UTC day, as the API would return it at the time `now`."""
        if day >= now.date() - timedelta(days=organization.usage_delay_days):
            return render_bucket(organization, day, view, deviations, now)
        # The revision is read before the day is rendered. If the data change in the meantime, the entry is stored under
        # the old revision and is never used again.
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
                if len(self._texts) >= _MAX_DAYS:
                    self._texts.clear()
                self._texts[key] = text
        return text
