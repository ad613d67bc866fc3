"""Creates pages of days and their cursors. A cursor is valid only for one query of one organization."""

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
    """A page of days. `cursor` is the cursor of this page, and `next_page` is the cursor of the next page."""

    days: tuple[date, ...]
    buckets: tuple[str, ...]
    has_more: bool
    next_page: str | None
    cursor: str

    @property
    def text(self) -> str:
        """The JSON text of the page, as the API returns it."""
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
    """Return the page to which the cursor of the window refers.

    If `endless` is true, the page after the last day also has a next page. `now` must have a time zone. Raises
    `RefusalError` if the cursor belongs to another query, or if the requested period begins and ends on the same day.
    """
    position = _position(organization, window, view)
    days = window.days(now.date())
    following = position + window.limit
    # After the last day, the live API may return next pages without end. Clients must therefore not rely on `has_more`.
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
    """Return the cursor of a position: the number of a day, and a digest that ties the cursor to its query."""
    # The live API accepts a cursor only with the query that returned it. A client that changes `end_time` between two
    # pages gets an error.
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
    # The comparison with the expected cursor also refuses malformed cursors and cursors of other queries.
    if _cursor(organization, window, view, position) != window.page:
        raise bad_parameter("page", "Invalid page token: it does not belong to this query.")
    return position
