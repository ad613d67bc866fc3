"""What is answered to a request: a pure function of the organization, the request, the deviations and the time.

It knows no sockets and breaks nothing; breaking an answer is the business of `faults`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from openai_costs_dagster.simulator.buckets import BucketRenderer, render_bucket
from openai_costs_dagster.simulator.deviations import Deviations
from openai_costs_dagster.simulator.directory import directory_at
from openai_costs_dagster.simulator.error_responses import RefusalError, missing_scope, unknown_path, wrong_method
from openai_costs_dagster.simulator.organization import MANAGEMENT_SCOPE, USAGE_SCOPE, SimulatedOrganization
from openai_costs_dagster.simulator.pagination import Page, render_page
from openai_costs_dagster.simulator.queries import Query, parse_costs_query
from openai_costs_dagster.simulator.usage_endpoints import ENDPOINTS, UsageEndpoint
from openai_costs_dagster.simulator.usage_queries import parse_usage_query

COSTS_PATH = "/organization/costs"
USAGE_PATH = "/organization/usage/"


@dataclass(frozen=True, slots=True)
class Response:
    """A status and the JSON text that goes with it; `page` is what the text says where it is a page of days."""

    status: int
    text: str
    page: Page | None = None


@dataclass(frozen=True, slots=True)
class _Request:
    organization: SimulatedOrganization
    query: Query
    deviations: Deviations
    now: datetime
    render: BucketRenderer


# Who answers a path, and the scope that it takes.
_Endpoint = Callable[[_Request], Response]
_Route = tuple[str, _Endpoint]


def respond(
    organization: SimulatedOrganization,
    method: str,
    path: str,
    query: Query,
    deviations: Deviations,
    now: datetime,
    render: BucketRenderer = render_bucket,
) -> Response:
    """Response a request whose key was accepted.

    `path` begins after the version ("/organization/costs"), `query` holds every value of every parameter,
    `now` is an aware time; "today" is its UTC day. `render` may be a cache over `buckets.render_bucket`. Raises
    ValueError for a naive `now`.
    """
    if now.tzinfo is None:
        raise ValueError("the simulator's clock must tell its time zone")
    try:
        route = _route(organization, path)
        if route is None:
            raise unknown_path(method, path)
        if method != "GET":
            raise wrong_method(method, path)
        scope, endpoint = route
        if scope not in organization.scopes:
            raise missing_scope(scope)
        return endpoint(_Request(organization, query, deviations, now.astimezone(UTC), render))
    except RefusalError as refusal:
        return error_response(refusal)


def error_response(refusal: RefusalError) -> Response:
    """The answer that a refusal makes."""
    return Response(refusal.status, refusal.text)


def _route(organization: SimulatedOrganization, path: str) -> _Route | None:
    if path == COSTS_PATH:
        return USAGE_SCOPE, _costs
    if path.startswith(USAGE_PATH):
        name = path.removeprefix(USAGE_PATH)
        usage = ENDPOINTS.get(name) if name in organization.usage_endpoints else None
        return (USAGE_SCOPE, lambda request: _usage(usage, request)) if usage else None
    directory = directory_at(path)
    if directory is None:
        return None
    return MANAGEMENT_SCOPE, lambda asked: Response(200, directory(asked.organization, asked.query, asked.now))


def _costs(request: _Request) -> Response:
    asked = parse_costs_query(request.query)
    asked.check_served(request.organization, request.now.date())
    page = render_page(
        request.organization,
        asked.window,
        asked.view,
        request.deviations,
        request.now,
        request.render,
        endless=request.deviations.tail_pages,
    )
    return Response(200, page.text, page)


def _usage(endpoint: UsageEndpoint, request: _Request) -> Response:
    window, view = parse_usage_query(endpoint, request.query)
    window.check_lookback(request.organization, request.now.date())
    page = render_page(
        request.organization, window, view, request.deviations, request.now, request.render, endless=False
    )
    return Response(200, page.text, page)
