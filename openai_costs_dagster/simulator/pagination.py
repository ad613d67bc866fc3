"""Pages of day buckets and their cursors. A cursor is valid only for one query of one organization."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime

from openai_costs_dagster.simulator.buckets import BucketRenderer, DayView
from openai_costs_dagster.simulator.deviations import Deviations
from openai_costs_dagster.simulator.error_responses import bad_parameter
from openai_costs_dagster.simulator.organization import SimulatedOrganization
from openai_costs_dagster.simulator.queries import Window

_CURSOR_PREFIX = "page_"
_POSITION_BYTES = 8


@dataclass(frozen=True, slots=True)
class Page:
    """A page of day buckets. `cursor` is the cursor of this page, `next_page` the cursor of the next page."""

    days: tuple[date, ...]
    buckets: tuple[str, ...]
    has_more: bool
    next_page: str | None
    cursor: str

    @property
    def text(self) -> str:
        """The JSON text of the page."""
        return (
            f'{{"object": "page", "has_more": {json.dumps(self.has_more)},'
            f' "next_page": {json.dumps(self.next_page)}, "data": [{", ".join(self.buckets)}]}}'
        )


def render_page(
    organization: SimulatedOrganization,
    window: Window,
    view: DayView,
    deviations: Deviations,
    now: datetime,
    render: BucketRenderer,
    *,
    endless: bool,
) -> Page:
    """Return the page for the cursor of the window. If `endless` is true, pages after the last day also have a cursor.

    `now` has a time zone. Raises RefusalError if the cursor belongs to another query, or if the window begins and ends
    on the same day.
    """
    position = _position(organization, window, view)
    days = window.days(now.date())
    following = position + window.limit
    # The live API may return next pages without end after the last day, so clients must not rely on `has_more`.
    more = following < len(days) or endless
    shown = tuple(days[position:following])
    return Page(
        days=shown,
        buckets=tuple(render(organization, day, view, deviations, now) for day in shown),
        has_more=more,
        next_page=_cursor(organization, window, view, following) if more else None,
        cursor=_cursor(organization, window, view, position),
    )


def _cursor(organization: SimulatedOrganization, window: Window, view: DayView, position: int) -> str:
    """Return the cursor of a position: the number of the day, and a digest that binds it to the query."""
    # The live API accepts a page token only with the query that returned it, so a moving `end_time` is an error.
    query = [window.start_time, window.end_time, window.limit, view.identity()]
    sealed = json.dumps([organization.organization_id, position, *query])
    seal = hashlib.sha256(sealed.encode()).digest()[:10]
    return _CURSOR_PREFIX + base64.urlsafe_b64encode(position.to_bytes(_POSITION_BYTES, "big") + seal).decode()


def _position(organization: SimulatedOrganization, window: Window, view: DayView) -> int:
    if window.page is None:
        return 0
    try:
        raw = base64.urlsafe_b64decode(window.page.removeprefix(_CURSOR_PREFIX))
    except ValueError:
        raw = b""
    position = int.from_bytes(raw[:_POSITION_BYTES], "big")
    # Comparing with the expected cursor also refuses cursors of other queries and malformed cursors.
    if _cursor(organization, window, view, position) != window.page:
        raise bad_parameter("page", "Invalid page token: it does not belong to this query.")
    return position
