"""ASGI middleware that protects Dagster's webserver, which has no password, from requests of foreign web pages.

A web page can make the browser of its visitor send requests to servers on the visitor's machine and network. The
middleware refuses requests with an unknown host name (DNS rebinding), requests from a page of another origin, and
mutations in a form that a browser sends without asking the server for permission (CORS).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openai_costs_dagster.host_names import LOOPBACK_HOSTS, canonical_host, host_of, is_same_origin

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_FORBIDDEN, _METHOD_NOT_ALLOWED, _UNSUPPORTED_MEDIA_TYPE = 403, 405, 415
_POLICY_VIOLATION = 1008  # the WebSocket close code for a refused handshake
# With these headers, browsers show the UI in no frame of another site and give another site's page no response.
_RESPONSE_HEADERS = {"X-Frame-Options": "SAMEORIGIN", "Cross-Origin-Resource-Policy": "same-origin"}


class RequestGuard:
    """ASGI middleware that checks every HTTP and WebSocket request before the wrapped application receives it."""

    def __init__(
        self, app: ASGIApp, allowed_hosts: Iterable[str] = (), *, response_headers: Mapping[str, str] | None = None
    ) -> None:
        """Wrap the ASGI application `app`.

        Requests may use the loopback names and `allowed_hosts` as their host name. `response_headers` are added to each
        response.
        """
        self._app = app
        self._hosts = {canonical_host(host) for host in (*LOOPBACK_HOSTS, *allowed_hosts)} - {None}
        self._response_headers = {**_RESPONSE_HEADERS, **(response_headers or {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application, or refuse it with a response of one sentence."""
        if scope["type"] not in {"http", "websocket"}:  # Startup and shutdown of the server are also ASGI events.
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": refusal[1][:100]})
        elif refusal:
            code, reason = refusal
            await PlainTextResponse(f"{reason}\n", code)(scope, receive, send)
        else:
            await self._app(scope, receive, self._with_headers(send))

    def _with_headers(self, send: Send) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._response_headers.items():
                    headers[name] = value
            await send(message)

        return send_with_headers

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return the HTTP status code and the reason for a refusal, or None if the request is allowed."""
        headers = Headers(scope=scope)
        if reason := self._foreign_host(headers) or _foreign_page(headers, scope):
            return _FORBIDDEN, reason
        if scope["type"] == "websocket":  # Over a WebSocket, Dagster accepts only subscriptions, which change nothing.
            return None
        if scope["method"] not in _SAFE_METHODS:
            # A form of any web page can send other content types, because browsers need no CORS permission for them.
            if _media_types(headers) != ["application/json"]:
                return _UNSUPPORTED_MEDIA_TYPE, "send this request with the header Content-Type: application/json"
        elif any(map(_has_side_effects, QueryParams(scope["query_string"]).getlist("query"))):
            return _METHOD_NOT_ALLOWED, "send mutations with POST and the header Content-Type: application/json"
        return None

    def _foreign_host(self, headers: Headers) -> str | None:
        hosts = headers.getlist("host")
        if len(hosts) == 1 and host_of(hosts[0]) in self._hosts:
            return None
        return (
            "the host name of this address is not allowed: add it to allowed_hosts in openai_costs.yaml, "
            "or to OPENAI_COSTS_ALLOWED_HOSTS if you start the webserver yourself"
        )


def _foreign_page(headers: Headers, scope: Scope) -> str | None:
    """Return the reason for a refusal if a page of another origin has sent the request, or else None.

    Browsers send the header `Sec-Fetch-Site` to loopback addresses and over HTTPS, and the header `Origin` with every
    request that can change something. Programs other than browsers send neither header and are allowed.
    """
    (host,) = headers.getlist("host")
    if not all(is_same_origin(origin, host) for origin in headers.getlist("origin")):
        return "a page of another origin sent this request: a proxy in front must keep the header Host"
    if set(headers.getlist("sec-fetch-site")) <= {"same-origin", "none"}:
        return None
    is_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    if is_link and scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}:
        return None  # A link to the UI, for example in an alert, only displays a page.
    return "a page of another site sent this request"


def _media_types(headers: Headers) -> list[str]:
    return [value.partition(";")[0].strip().lower() for value in headers.getlist("content-type")]


def _has_side_effects(query: str) -> bool:
    """Return whether a GraphQL document contains an operation other than a query, such as a mutation."""
    try:
        document = parse(query, no_location=True)
    except GraphQLError:
        return False  # Dagster does not execute an invalid document, so it cannot change anything.
    return any(
        isinstance(node, OperationDefinitionNode) and node.operation is not OperationType.QUERY
        for node in document.definitions
    )
