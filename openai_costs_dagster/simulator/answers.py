"""What is answered to a request: a pure function of the organization, the request, the quirks and the time.

It knows no sockets and breaks nothing; breaking an answer is the business of `faults`.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from openai_costs_dagster.simulator.queries import CostsQuery, Query, parse
from openai_costs_dagster.simulator.quirks import Quirks
from openai_costs_dagster.simulator.refusals import (
    RefusalError,
    bad_parameter,
    missing_scope,
    unknown_path,
    wrong_method,
)
from openai_costs_dagster.simulator.views import BucketRenderer, render_bucket
from openai_costs_dagster.simulator.world import USAGE_SCOPE, SimulatedOrganization

COSTS_PATH = "/organization/costs"

_CURSOR_PREFIX = "page_"
_POSITION_BYTES = 8


@dataclass(frozen=True, slots=True)
class Page:
    """A page of day buckets. `cursor` leads to this page, `next_page` to the one after."""

    days: tuple[date, ...]
    buckets: tuple[str, ...]
    has_more: bool
    next_page: str | None
    cursor: str

    @property
    def text(self) -> str:
        """The JSON text."""
        return (
            f'{{"object": "page", "has_more": {json.dumps(self.has_more)},'
            f' "next_page": {json.dumps(self.next_page)}, "data": [{", ".join(self.buckets)}]}}'
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the JSON text that goes with it; `page` is what the text says where it is a page."""

    status: int
    text: str
    page: Page | None = None


def answer(
    organization: SimulatedOrganization,
    method: str,
    path: str,
    query: Query,
    quirks: Quirks,
    now: datetime,
    render: BucketRenderer = render_bucket,
) -> Answer:
    """Answer a request whose key was accepted.

    `path` begins after the version ("/organization/costs"), `query` holds every value of every parameter,
    `now` is an aware time; "today" is its UTC day. `render` may be a cache over `views.render_bucket`. Raises
    ValueError for a naive `now`.
    """
    if now.tzinfo is None:
        raise ValueError("the simulator's clock must tell its time zone")
    now = now.astimezone(UTC)
    try:
        if path not in _ENDPOINTS:
            raise unknown_path(method, path)
        if method != "GET":
            raise wrong_method(method, path)
        scope, endpoint = _ENDPOINTS[path]
        if scope not in organization.scopes:
            raise missing_scope(scope)
        page = endpoint(organization, query, quirks, now, render)
    except RefusalError as refusal:
        return refused(refusal)
    return Answer(200, page.text, page)


def refused(refusal: RefusalError) -> Answer:
    """The answer that a refusal makes."""
    return Answer(refusal.status, refusal.text)


def _costs(
    organization: SimulatedOrganization, query: Query, quirks: Quirks, now: datetime, render: BucketRenderer
) -> Page:
    asked = parse(query)
    position = _position(organization, asked)
    days = asked.days(now.date())
    asked.check_served(organization, now.date())
    following = position + asked.limit
    more = following < len(days) or quirks.tail_pages
    shown = tuple(days[position:following])
    return Page(
        days=shown,
        buckets=tuple(render(organization, day, asked.view, quirks, now) for day in shown),
        has_more=more,
        next_page=_cursor(organization, asked, following) if more else None,
        cursor=_cursor(organization, asked, position),
    )


# Path, the scope it needs, and who answers it.
_Endpoint = Callable[[SimulatedOrganization, Query, Quirks, datetime, BucketRenderer], Page]
_ENDPOINTS: dict[str, tuple[str, _Endpoint]] = {COSTS_PATH: (USAGE_SCOPE, _costs)}


def _cursor(organization: SimulatedOrganization, asked: CostsQuery, position: int) -> str:
    """A cursor names a day of one exact query of one organization; a seal over both binds it to them."""
    view = asked.view
    filters = [view.group_by, view.project_ids, view.api_key_ids, view.line_items]
    sealed = json.dumps(
        [
            organization.organization_id,
            position,
            asked.start_time,
            asked.end_time,
            asked.limit,
            *(None if values is None else sorted(values) for values in filters),
        ]
    )
    seal = hashlib.sha256(sealed.encode()).digest()[:10]
    return _CURSOR_PREFIX + base64.urlsafe_b64encode(position.to_bytes(_POSITION_BYTES, "big") + seal).decode()


def _position(organization: SimulatedOrganization, asked: CostsQuery) -> int:
    if asked.page is None:
        return 0
    try:
        raw = base64.urlsafe_b64decode(asked.page.removeprefix(_CURSOR_PREFIX))
    except ValueError:
        raw = b""
    position = int.from_bytes(raw[:_POSITION_BYTES], "big")
    if _cursor(organization, asked, position) != asked.page:
        raise bad_parameter("page", "Invalid page token: it does not belong to this query.")
    return position
