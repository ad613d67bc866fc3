"""Converts an error response of OpenAI into an exception. docs/openai-api.md lists the sources.

Three refusals change the next request: the lookback limit, a refused grouping and missing scopes. The message of any
other 4xx response is shown unchanged.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.server_clock import parse_http_date
from openai_costs_dagster.api.unicode_repair import repair_text

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
# OpenAI does not document how the lookback error writes its date. The patterns match 2025-11-30, 2025/11/30 (both with
# or without a time), "November 30, 2025" and "30 Nov 2025".
_DATES = (
    re.compile(r"(?<!\d)(?P<year>\d{4})[-/](?P<number>\d{1,2})[-/](?P<day>\d{1,2})(?!\d)"),
    re.compile(rf"\b{_MONTH}\s+{_DAY},?\s+(?P<year>\d{{4}})(?!\d)", re.IGNORECASE),
    re.compile(rf"(?<!\d){_DAY}\s+(?:of\s+)?{_MONTH},?\s+(?P<year>\d{{4}})(?!\d)", re.IGNORECASE),
)
_YEAR = dt.timedelta(days=365)
_GROUPING_PARAMETERS = {"group_by", "user_ids", "project_ids", "user_id", "project_id", "api_key_id", "api_key_ids"}
_DIMENSION_WORDS = re.compile(
    r"group_by|group(ed|ing)?[ _]by|\bgrouping\b|\bcombin|\bapi_key_ids?\b|\buser_ids?\b|\bproject_ids?\b",
    re.IGNORECASE,
)


class _Error(msgspec.Struct):
    message: Any = None
    type: Any = None
    param: Any = None
    code: Any = None


class _Envelope(msgspec.Struct):
    error: _Error


def error_from_response(status: int, body: bytes, headers: Mapping[str, str], now: dt.datetime) -> errors.ApiError:
    """Return the exception for a response whose status is not 200.

    `now` is the time of the server, to which its dates refer. The message is not redacted: the caller must redact it.
    """
    error = _decode(body)
    message = str(error.message or "no message")
    if status == 429:
        return errors.RateLimited(message, status=status, retry_after=seconds_to_wait(headers, now))
    if status >= 500 or status == 408:
        wait = seconds_to_wait(headers, now)
        return errors.ServerError(f"the server returned status {status}: {message}", status=status, retry_after=wait)
    if status in (401, 403):
        return _unauthorized(status, message)
    if status == 400:
        return _bad_request(error, message, now)
    if status == 404:
        return errors.EndpointNotFound(f"the server has no such path (404): {message}", status=status)
    if 300 <= status < 400:
        # The key must not be sent to an address that is not configured, so redirects are never followed.
        message = f"the server redirects ({status}): set base_url to the final address"
    return errors.RequestRefused(message, status=status)


def is_error_body(body: bytes) -> bool:
    """Whether a body has OpenAI's error format, whatever the status of its response."""
    try:
        return bool(msgspec.json.decode(repair_text(body), type=_Envelope).error.message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def summary(body: bytes) -> str:
    """Return code, parameter and message of an error body for the log. The text is not redacted."""
    error = _decode(body)
    return f"code {error.code!r}, param {error.param!r}: {error.message}"


def seconds_to_wait(headers: Mapping[str, str], now: dt.datetime) -> float | None:
    """Return the wait that the server requests, in seconds, or None if the headers are missing or unreadable.

    RFC 9110 allows a number of seconds or an HTTP date in `Retry-After`. OpenAI's SDK also reads `retry-after-ms`. The
    caller must not wait less than its own backoff: 0, 1 and dates in the past occur.
    """
    milliseconds = re.fullmatch(r"(\d{1,12})(\.\d+)?", headers.get("retry-after-ms", "").strip(), re.ASCII)
    if milliseconds:
        return int(milliseconds[1]) / 1000
    text = headers.get("retry-after", "").strip()
    if seconds := re.fullmatch(r"(\d{1,9})(\.\d+)?", text, re.ASCII):
        # Fractions are rounded up, so that the wait is never shorter than the server requested.
        return int(seconds[1]) + (1 if seconds[2] else 0)
    moment = parse_http_date(text)
    return max(0.0, (moment - now).total_seconds()) if moment else None


def _decode(body: bytes) -> _Error:
    try:
        return msgspec.json.decode(repair_text(body), type=_Envelope).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # A proxy in front of OpenAI answers with HTML, or with JSON of another structure. The text of such a response
        # would not help the user, so the message contains only the response's size.
        return _Error(message=f"the response is not an OpenAI error message ({len(body)} bytes)")


def _unauthorized(status: int, message: str) -> errors.ApiError:
    # OpenAI reports missing scopes with status 401 as well as with status 403.
    if status == 403 or "missing scopes" in message.lower() or "insufficient permissions" in message.lower():
        return errors.PermissionDenied(message, status=status)
    return errors.AuthenticationFailed(message, status=status)


def _bad_request(error: _Error, message: str, now: dt.datetime) -> errors.ApiError:
    if error.code == "reporting_lookback_exceeded":
        today = now.astimezone(dt.UTC).date()
        return errors.LookbackExceeded(message, year_ago=today - _YEAR, named=_earliest_day(message, today))
    if _refuses_grouping(error, message):
        return errors.GroupingRefused(message, status=400)
    refusal = errors.RequestRefused(message, status=400)
    refusal.is_unrecognized = True
    return refusal


def _earliest_day(message: str, today: dt.date) -> dt.date | None:
    """Return the first UTC day that OpenAI still serves according to the message, or None.

    A message with several days may repeat the requested range. The first served day is then the latest day before
    today, because the requested range begins earlier.
    """
    named = {day for pattern in _DATES for match in pattern.finditer(message) if (day := _date(match))}
    return max(named if len(named) == 1 else {day for day in named if day < today}, default=None)


def _date(match: re.Match[str]) -> dt.date | None:
    groups = match.groupdict()
    month = groups.get("number") or _MONTHS.index(groups["month"].lower()) + 1
    try:
        return dt.date(int(groups["year"]), int(month), int(groups["day"]))
    except ValueError:
        return None


def _refuses_grouping(error: _Error, message: str) -> bool:
    """Whether a status 400 rejects the requested dimensions, according to `param` and `code`.

    `param` may contain an index or a path: ``group_by[2]``, ``group_by[]``, ``group_by.2``, ``query.group_by``.
    OpenAI was observed to reject `api_key_id` with ``param=start_time, code=invalid_request_error``. For `user_id`
    with `project_id`, OpenAI only documents "Unsupported combinations return HTTP 400". An error without `param`
    therefore counts if its message mentions a dimension.
    """
    param = str(error.param or "").lower()
    if _GROUPING_PARAMETERS & set(re.findall(r"[a-z_]+", param)):
        return True
    if "must come after" in message:  # OpenAI rejects the order of start_time and end_time, not the grouping.
        return False
    if param == "start_time":
        return bool(error.code == "invalid_request_error")
    return not param and bool(_DIMENSION_WORDS.search(message))
