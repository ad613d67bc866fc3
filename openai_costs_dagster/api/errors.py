"""The errors that a request to the Admin API can end with.

ApiError
├── PermanentApiError           a retry cannot help: somebody has to correct a setting, a key or this program
│   ├── AuthenticationFailed    the key is wrong, deleted or not an admin key (401)
│   ├── PermissionDenied        the key lacks a scope (403, or 401 with a list of scopes)
│   ├── LookbackExceeded        the request begins before the year that OpenAI keeps (400)
│   ├── GroupingRefused         OpenAI does not combine these dimensions for these days (400)
│   ├── RequestRefused          any other rejected request (other 4xx, redirects)
│   │   └── EndpointNotFound    the server has no such path (404)
│   ├── ConnectionRejected      the proxy requires credentials (407), or a certificate fails verification
│   ├── DaysNotStarted          the request ends after the current day of the server
│   ├── ResponseTooLarge        a response or a list exceeds a limit of this program
│   ├── WrongOrganization       the key belongs to another organization than the expected one
│   ├── UnexpectedSchema        valid JSON that does not have the documented format
│   └── UnexpectedBucket        a bucket that does not cover the requested UTC day
└── TransientApiError           the same request may succeed later
    ├── RateLimited             429
    ├── ServerError             5xx or 408
    ├── MalformedResponse       HTML, a truncated body, or an error with status 200
    ├── Unreachable             no connection, a reset or a timeout
    ├── ResponseTooSlow         a response that was not complete within the limit of this program
    └── IncompletePagination    pages that repeat or end early

All messages are redacted before the error is raised, because error responses of OpenAI repeat parts of the key.
"""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.display_text import printable

# OpenAI may serve a few days less than 365, for example after a leap day.
_LOOKBACK_TOLERANCE = 7 * ONE_DAY


class ApiError(Exception):
    """Base class of all errors of the Admin API. The message is one printable sentence without secrets."""

    status: int | None = None
    """The HTTP status of the response, or None if the server sent no response."""
    is_unrecognized = False
    """Whether OpenAI rejected the request with a status 400 that matches none of the known reasons."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(printable(message))
        self.status = status


class PermanentApiError(ApiError):
    """An error that a retry cannot solve."""


class AuthenticationFailed(PermanentApiError):
    """OpenAI does not accept the key, or the key cannot be an admin key."""


class PermissionDenied(PermanentApiError):
    """OpenAI accepts the key, but the key lacks the scope for this request."""


class LookbackExceeded(PermanentApiError):
    """The requested days begin before `earliest`, the first UTC day that OpenAI still serves.

    If the response names no day, `earliest` is `year_ago`, one year before the response.
    """

    def __init__(self, message: str, *, year_ago: dt.date, named: dt.date | None = None) -> None:
        super().__init__(message, status=400)
        self.earliest = named or year_ago
        self._year_ago = year_ago

    def served_days(self, days: DayRange) -> DayRange | None:
        """Return the part of the refused `days` that OpenAI should still serve, or None if all days are too old.

        Raises RequestRefused if OpenAI refuses days that are clearly less than a year old.
        """
        first = self.earliest
        if first <= days.first:
            # The response does not show which days are too old. One day per request is given up, up to the tolerance,
            # so that an unclear refusal never drops a whole year.
            if days.first >= self._year_ago + _LOOKBACK_TOLERANCE:
                raise RequestRefused(str(self), status=400)
            first = max(self._year_ago, days.first + ONE_DAY)
        return days.intersection(first, None)


class GroupingRefused(PermanentApiError):
    """OpenAI does not serve this combination of dimensions for the requested days."""


class RequestRefused(PermanentApiError):
    """OpenAI rejected the request, and no more specific error class applies."""


class EndpointNotFound(RequestRefused):
    """The server has no such path, for example because it is a proxy or an older server."""


class ConnectionRejected(PermanentApiError):
    """The proxy does not accept its credentials, or the certificate of the server or the proxy fails verification."""


class DaysNotStarted(PermanentApiError):
    """The requested days end after `today`, the current UTC day of the server, because the local clock is ahead.

    `is_plausible` is false if the difference is so large that the clock of the server or a proxy may be wrong.
    """

    def __init__(self, message: str, *, today: dt.date, is_plausible: bool) -> None:
        super().__init__(message)
        self.today = today
        self.is_plausible = is_plausible

    def served_days(self, days: DayRange) -> DayRange | None:
        """Return the part of the refused `days` that has begun, or None if no day has begun."""
        return days.intersection(None, self.today)


class ResponseTooLarge(PermanentApiError):
    """The decoded response, or the number of entries or pages of a list, exceeds a limit. The message names it.

    `day` is the day whose response alone exceeds the limit, or None.
    """

    def __init__(self, message: str, *, day: dt.date | None = None) -> None:
        super().__init__(message)
        self.day = day


class WrongOrganization(PermanentApiError):
    """The organization id in a response differs from the expected organization id."""


class UnexpectedSchema(PermanentApiError):
    """The response is valid JSON without the documented format. Guessing its meaning could store wrong amounts."""


class UnexpectedBucket(PermanentApiError):
    """A bucket does not cover the requested UTC day. Storing the bucket would put amounts on wrong days."""


class TransientApiError(ApiError):
    """An error after which the same request may succeed.

    `retry_after` is the number of seconds that the server asked to wait, or None.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class RateLimited(TransientApiError):
    """The server returned status 429."""


class ServerError(TransientApiError):
    """The server returned status 5xx or 408."""


class MalformedResponse(TransientApiError):
    """The body is not JSON, or the body is an error although the status is 200."""


class Unreachable(TransientApiError):
    """The server sent no response, or the connection broke during the response."""


class ResponseTooSlow(TransientApiError):
    """The response did not arrive completely within the time limit, although some of it may have arrived.

    The request is not repeated at once: a server that sends a byte at a time would hold the run for a long time.
    """


class IncompletePagination(TransientApiError):
    """The pages of a response repeat, or they end before the last requested day."""
