"""Turns an HTTP status and body into the error that it means; sources in docs/openai-api.md.

Exactly three refusals steer the fetch (lookback, grouping, scopes); any other 4xx is shown as it is.
"""

from __future__ import annotations

import datetime as dt
import re
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.unicode_repair import storable

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DATES = (  # 2025-11-30, 2025/11/30 and either with a time; November 30, 2025; 30 Nov 2025
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


def error_from_response(status: int, body: bytes, retry_after: str | None, now: dt.datetime) -> errors.ApiError:
    """The error behind an answer that is not 200. Texts are unredacted: the caller redacts."""
    error = _decode(body)
    said = str(error.message or "no message")
    if status == 429:
        return errors.RateLimited(said, status=status, retry_after=seconds_to_wait(retry_after, now))
    if status >= 500 or status == 408:
        wait = seconds_to_wait(retry_after, now)
        return errors.ServerError(f"the server answered {status}: {said}", status=status, retry_after=wait)
    if status in (401, 403):
        return _unauthorized(status, said)
    if status == 400:
        return _bad_request(error, said, now)
    if status == 404:
        return errors.EndpointNotFound(f"nothing is served at this path (404): {said}", status=status)
    if 300 <= status < 400:
        said = f"the server redirects ({status}); base_url must name the final address"
    return errors.RequestRefused(said, status=status)


def is_error(body: bytes) -> bool:
    """Whether a body has OpenAI's error shape, whatever its status."""
    try:
        return bool(msgspec.json.decode(storable(body), type=_Envelope).error.message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def summary(body: bytes) -> str:
    """What identifies a refusal: code, parameter and message. Unredacted."""
    error = _decode(body)
    return f"code {error.code!r}, param {error.param!r}: {error.message}"


def seconds_to_wait(retry_after: str | None, now: dt.datetime) -> float | None:
    """`Retry-After` in seconds, from either of its forms (RFC 9110: seconds or an HTTP date)."""
    if not retry_after:
        return None
    text = retry_after.strip()
    if seconds := re.fullmatch(r"(\d{1,9})(\.\d+)?", text):
        return int(seconds[1]) + (1 if seconds[2] else 0)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max(0.0, (moment - now).total_seconds())


def _decode(body: bytes) -> _Error:
    try:
        return msgspec.json.decode(storable(body), type=_Envelope).error
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        RecursionError,
    ):  # HTML from an edge proxy, or JSON of another shape
        return _Error(message=f"an answer without OpenAI's error shape ({len(body)} bytes)")


def _unauthorized(status: int, said: str) -> errors.ApiError:
    if status == 403 or "missing scopes" in said.lower() or "insufficient permissions" in said.lower():
        return errors.PermissionDenied(said, status=status)
    return errors.AuthenticationFailed(said, status=status)


def _bad_request(error: _Error, said: str, now: dt.datetime) -> errors.ApiError:
    if error.code == "reporting_lookback_exceeded":
        today = now.astimezone(dt.UTC).date()
        return errors.LookbackExceeded(said, year_ago=today - _YEAR, named=_earliest_day(said, today))
    if _refuses_grouping(error, said):
        return errors.GroupingRefused(said, status=400)
    refusal = errors.RequestRefused(said, status=400)
    refusal.is_unrecognized = True
    return refusal


def _earliest_day(said: str, today: dt.date) -> dt.date | None:
    """The first day that a text names as still served: of several days the latest before today."""
    named = {day for pattern in _DATES for found in pattern.finditer(said) if (day := _date(found))}
    return max(named if len(named) == 1 else {day for day in named if day < today}, default=None)


def _date(found: re.Match[str]) -> dt.date | None:
    groups = found.groupdict()
    month = groups.get("number") or _MONTHS.index(groups["month"].lower()) + 1
    try:
        return dt.date(int(groups["year"]), int(month), int(groups["day"]))
    except ValueError:
        return None


def _refuses_grouping(error: _Error, said: str) -> bool:
    """Whether a 400 is about the requested dimensions, by `param` and `code`.

    `param` may carry an index or a path: ``group_by[2]``, ``group_by[]``, ``group_by.2``, ``query.group_by``.
    Seen: ``param=start_time, code=invalid_request_error`` for `api_key_id`; for `user_id` with `project_id`
    only "Unsupported combinations return HTTP 400" is published, so without a `param` a text that names dimensions
    counts.
    """
    param = str(error.param or "").lower()
    if _GROUPING_PARAMETERS & set(re.findall(r"[a-z_]+", param)):
        return True
    if "must come after" in said:
        return False
    if param == "start_time":
        return bool(error.code == "invalid_request_error")
    return not param and bool(_DIMENSION_WORDS.search(said))
