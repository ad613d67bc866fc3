"""Sends the daily request to `heartbeat_url`, which shows an external service that refreshes still run.

Services such as healthchecks.io alert if the request does not arrive. The URL is a secret: it is read when the request
is sent, and no log and no table contains it.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable

from openai_costs_dagster.alerts.channels import NotDeliveredError, is_https_or_loopback, read_secret, request
from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.warehouse import sensor_ticks
from openai_costs_dagster.warehouse.database import Connection, Database

_LOG = logging.getLogger(__name__)
# The claim lasts longer than any attempt, because two processes could otherwise send the same heartbeat.
_CLAIM_DURATION = dt.timedelta(seconds=60)
_FIRST_RETRY_DELAY = dt.timedelta(seconds=30)
_MAX_RETRY_DELAY = dt.timedelta(hours=1)

Now = Callable[[], dt.datetime]


def send_heartbeat(database: Database, configuration: Configuration, location: str, now: Now) -> bool:
    """Request `heartbeat_url` if yesterday is complete and was not reported yet. Return whether the request succeeded.

    Yesterday is complete if every configured organization whose history includes yesterday was read after the end of
    that day. Each day is reported once. A failed request is recorded, logged and repeated later, and raises no error.
    """
    reference = configuration.heartbeat_url
    if reference is None:
        return False
    day = now().date() - ONE_DAY
    with database.connect(name="openai-costs heartbeat") as connection:
        known = sensor_ticks.heartbeat(connection, location, str(reference))
        if known and known.day >= day and (known.delivered_at or known.due_at > now()):
            return False
        if not _is_complete(connection, configuration, day):
            return False
        # Several code locations may share one heartbeat. The claim on the row of the day prevents a second request.
        attempt = sensor_ticks.claim_heartbeat(
            connection, location, str(reference), day, now(), now() + _CLAIM_DURATION
        )
        if attempt is None:
            return False
        error = _request(reference)
        # After thousands of failed attempts, the power of 2 would be too large for a timedelta, so the exponent is
        # limited.
        wait = min(_FIRST_RETRY_DELAY * 2 ** min(attempt - 1, 12), _MAX_RETRY_DELAY)
        sensor_ticks.record_heartbeat(
            connection,
            location,
            str(reference),
            day,
            due_at=now() + wait,
            delivered_at=None if error else now(),
            error=error,
        )
    if error:
        _LOG.warning("heartbeat_url could not be requested: %s", error)
    return error is None


def _is_complete(connection: Connection, configuration: Configuration, day: dt.date) -> bool:
    """Return whether a day was read completely for every organization whose history includes the day."""
    names = [
        name
        for name, organization in configuration.organizations.items()
        if organization.start_date is None or organization.start_date <= day
    ]
    return bool(names) and not sensor_ticks.unread_organizations(connection, names, day)


def _request(reference: SecretReference) -> str | None:
    """Send a GET request. Return the error without the URL, or None if the request succeeded."""
    try:
        url = read_secret(reference)
        if not is_https_or_loopback(url):
            return f"the {reference} contains no https URL"
        status, _ = request("GET", url, what="heartbeat service", where=str(reference))
    except NotDeliveredError as error:
        return str(error)
    return None if 200 <= status < 300 else f"the heartbeat service answered {status}"
