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
from openai_costs_dagster.api.text import storable

_EARLIEST = re.compile(r"\b(\d{4}-\d{2}-\d{2})\b")
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


def error_of(status: int, body: bytes, retry_after: str | None, now: dt.datetime) -> errors.ApiError:
    """The error behind an answer that is not 200. Texts are unredacted: the caller redacts."""
    error = _decode(body)
    said = str(error.message or "no message")
    if status == 429:
        return errors.RateLimited(said, status=status, retry_after=seconds_to_wait(retry_after, now))
    if status >= 500 or status == 408:
        wait = seconds_to_wait(retry_after, now)
        return errors.ServerFailed(f"the server answered {status}: {said}", status=status, retry_after=wait)
    if status in (401, 403):
        return _unauthorized(status, said)
    if status == 400:
        return _bad_request(error, said)
    if status == 404:
        return errors.NotServed(f"nothing is served at this path (404): {said}", status=status)
    if 300 <= status < 400:
        said = f"the server redirects ({status}); base_url must name the final address"
    return errors.RequestRefused(said, status=status)


def is_error(body: bytes) -> bool:
    """Whether a body has OpenAI's error shape, whatever its status."""
    try:
        return bool(msgspec.json.decode(storable(body), type=_Envelope).error.message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


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


def _bad_request(error: _Error, said: str) -> errors.ApiError:
    if error.code == "reporting_lookback_exceeded":
        earliest = _earliest_day(said)
        if earliest:
            return errors.LookbackExceeded(said, earliest=earliest)
    elif _refuses_grouping(error, said):
        return errors.GroupingRefused(said, status=400)
    return errors.RequestRefused(said, status=400)


def _earliest_day(said: str) -> dt.date | None:
    found = _EARLIEST.search(said)
    try:
        return dt.date.fromisoformat(found.group(1)) if found else None
    except ValueError:
        return None


def _refuses_grouping(error: _Error, said: str) -> bool:
    """Whether a 400 is about the dimensions asked for.

    Seen: ``param=start_time, code=invalid_request_error`` for `api_key_id`; for `user_id` with `project_id`
    only "Unsupported combinations return HTTP 400" is published, so a text that names dimensions counts.
    """
    param = str(error.param or "").removesuffix("[]")
    if param in {"group_by", "user_ids", "project_ids", "user_id", "project_id", "api_key_id", "api_key_ids"}:
        return True
    if "must come after" in said:
        return False
    if param == "start_time":
        return bool(error.code == "invalid_request_error")
    return not param and bool(_DIMENSION_WORDS.search(said))
