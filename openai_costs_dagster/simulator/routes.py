"""Passes a request to its endpoint and returns the response.

The response depends only on the organization, the request, the deviations and the time. `server.py` handles
connections, and `faults.py` handles faults.
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
    """An HTTP status, with the JSON text of the body. `page` is set if the body is a page of days."""

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


# A route consists of the scope that its path requires, and the function that returns the response.
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
    """Return the response to a request whose key is valid.

    `path` has no version prefix, as in ``/organization/costs``. `query` contains all values of each parameter. The UTC
    day of `now` is the current day. `render` may be a cache around `buckets.render_bucket`. Raises `ValueError` if
    `now` has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError("the clock of the simulator must return times with a time zone")
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
    """Return the response for a request that the API refuses."""
    return Response(refusal.status, refusal.text)


def _route(organization: SimulatedOrganization, path: str) -> _Route | None:
    if path == COSTS_PATH:
        return USAGE_SCOPE, _costs
    # Without the endpoint, the organization looks like a proxy that offers only costs and returns a 404 for usage.
    if path.startswith(USAGE_PATH):
        name = path.removeprefix(USAGE_PATH)
        usage = ENDPOINTS.get(name) if name in organization.usage_endpoints else None
        return (USAGE_SCOPE, lambda request: _usage(usage, request)) if usage else None
    directory = directory_at(path)
    if directory is None:
        return None
    return MANAGEMENT_SCOPE, lambda request: Response(200, directory(request.organization, request.query, request.now))


def _costs(request: _Request) -> Response:
    costs_query = parse_costs_query(request.query)
    costs_query.check_served(request.organization, request.now.date())
    page = render_page(
        request.organization,
        costs_query.window,
        costs_query.view,
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
