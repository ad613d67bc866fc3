"""Compares the clock of this machine with the header `Date` of the server's responses.

The local clock decides which days are requested. If it is ahead, the newest of these days have not begun at OpenAI.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_LOG = logging.getLogger(__name__)

# A response may take minutes, and `Date` names the moment at which the server began to send it.
_TOLERANCE = dt.timedelta(minutes=5)
_reported: set[str] = set()
"""The API hosts for which this process has already logged a wrong local clock, so that each is logged once."""


class ServerClock:
    """The difference between the server's clock and the local clock, from the newest response."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.offset: dt.timedelta | None = None
        """The server's time less the local time; None before the first response with a valid `Date`."""

    def observe(self, headers: Mapping[str, str], local: dt.datetime) -> None:
        """Compute the clock difference from the header `Date` of a response that arrived at the local time `local`."""
        # A cache adds `Age` to an old response, whose date does not show the current time.
        moment = None if "age" in headers else parse_http_date(headers.get("date"))
        if moment is None:
            return
        self.offset = moment - local
        if self.warning and self._host not in _reported:
            _reported.add(self._host)
            _LOG.warning("%s", self.warning)

    def time_at(self, local: dt.datetime) -> dt.datetime:
        """Return the server's time at a local time, or the local time if the server's time is unknown."""
        return local + self.offset if self.offset is not None else local

    @property
    def warning(self) -> str | None:
        """A sentence about a wrong local clock, or None if both clocks agree within some minutes."""
        if self.offset is None or abs(self.offset) <= _TOLERANCE:
            return None
        direction = "behind" if self.offset > dt.timedelta(0) else "ahead of"
        return (
            f"the clock of this machine is {_duration(abs(self.offset))} {direction} the clock of {self._host}: "
            "correct the clock, for example with NTP"
        )


def parse_http_date(text: str | None) -> dt.datetime | None:
    """Return an HTTP date as a time in UTC, or None if the date is missing or malformed."""
    try:
        moment = parsedate_to_datetime(text or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def _duration(length: dt.timedelta) -> str:
    """Return a duration in its largest suitable unit, rounded, so that the same difference gives the same text."""
    for unit, name in ((dt.timedelta(days=1), "days"), (dt.timedelta(hours=1), "hours")):
        if length >= 2 * unit:
            return f"{length / unit:.0f} {name}"
    return f"{length / dt.timedelta(minutes=1):.0f} minutes"
