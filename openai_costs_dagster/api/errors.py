"""Everything that can go wrong between us and the Admin API.

ApiError
├── PermanentApiError         asking again changes nothing: a person has to act
│   ├── AuthenticationFailed  the key is wrong, deleted or of the wrong kind (401)
│   ├── PermissionDenied      the key lacks a scope (403, or 401 with a list of scopes)
│   ├── LookbackExceeded      the window begins before the year that the API keeps (400)
│   ├── GroupingRefused       these dimensions are not served together for this window (400)
│   ├── RequestRefused        any other answer that will stay the same (other 4xx, redirects)
│   │   └── EndpointNotFound         nothing is served at this path (404)
│   ├── WrongOrganization     the key belongs to another organization than configured
│   ├── UnexpectedSchema          JSON of another shape than the API documents: this program has to learn it
│   └── UnexpectedBucket      a bucket that is not exactly the UTC day that was due
└── TransientApiError         the same request may succeed later
    ├── RateLimited           429
    ├── ServerError          5xx
    ├── MalformedResponse          HTML, a cut-off body, an error where an answer should be
    ├── Unreachable           no connection, a reset, a time-out
    └── IncompletePagination       pages that loop or end early

Every text is redacted before it gets in here: error answers of the API echo parts of the key.
"""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.days import ONE_DAY, DayRange

_TOLERANCE = 7 * ONE_DAY  # by which OpenAI's year may be shorter than ours, as after a leap day


class ApiError(Exception):
    """Base of all that the Admin API can do to us; the text is one sentence, free of secrets."""

    status: int | None = None
    is_unrecognized = False
    """Whether a 400 is none of the refusals that this program knows."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class PermanentApiError(ApiError):
    """Asking again changes nothing."""


class AuthenticationFailed(PermanentApiError):
    """The key was not accepted."""


class PermissionDenied(PermanentApiError):
    """The key was accepted, and may not read this."""


class LookbackExceeded(PermanentApiError):
    """The window begins before `earliest`, the first day that the API still serves (UTC).

    Where the API names no day, that is `year_ago`, a year before the answer.
    """

    def __init__(self, message: str, *, year_ago: dt.date, named: dt.date | None = None) -> None:
        super().__init__(message, status=400)
        self.earliest = named or year_ago
        self._year_ago = year_ago

    def served_days(self, days: DayRange) -> DayRange | None:
        """The rest of a refused window that the API should serve; None where all of it is too old.

        Raises RequestRefused where the API refuses days that lie well within its year.
        """
        first = self.earliest
        if first <= days.first:  # no day was named, or that of the request itself
            if days.first >= self._year_ago + _TOLERANCE:
                raise RequestRefused(str(self), status=400)
            first = max(self._year_ago, days.first + ONE_DAY)
        return days.intersection(first, None)


class GroupingRefused(PermanentApiError):
    """The organization is not served this combination of dimensions for this window."""


class RequestRefused(PermanentApiError):
    """Any other refusal."""


class EndpointNotFound(RequestRefused):
    """Nothing is served at this path: a proxy or an older server lacks it."""


class WrongOrganization(PermanentApiError):
    """An answer carries an organization id that differs from the expected one."""


class UnexpectedSchema(PermanentApiError):
    """JSON of another shape than the API documents; guessing at it could store wrong figures."""


class UnexpectedBucket(PermanentApiError):
    """A bucket is not exactly the UTC day that was due: storing it would put amounts on wrong days."""


class TransientApiError(ApiError):
    """The same request may succeed later; `retry_after` is the server's own wait in seconds, if it named one."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class RateLimited(TransientApiError):
    """429."""


class ServerError(TransientApiError):
    """5xx."""


class MalformedResponse(TransientApiError):
    """A body that is no JSON, or an error with the status of an answer."""


class Unreachable(TransientApiError):
    """No answer came, or it stopped in the middle."""


class IncompletePagination(TransientApiError):
    """The pages of one query loop, or end before the last day that was requested."""
