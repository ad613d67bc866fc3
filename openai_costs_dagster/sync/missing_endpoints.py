"""Stores which endpoints an organization's server lacks. For a week, runs do not request these endpoints again."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.warehouse import usage
from openai_costs_dagster.warehouse.database import Connection

VALID_FOR = dt.timedelta(days=7)
"""The time after which an endpoint that the server lacked is requested again, in case the server has it by then."""


class MissingEndpoints:
    """The endpoints that the server of one organization lacks.

    Each endpoint is stored as a full URL. If the organization's `base_url` changes, stored URLs no longer match, and
    all endpoints of the new server are requested at once.
    """

    def __init__(self, connection: Connection, organization: Organization, now: dt.datetime) -> None:
        self._connection = connection
        self._name = organization.name
        self._base_url = organization.base_url.rstrip("/")
        self._now = now

    def known(self) -> dict[str, str]:
        """Return the paths of the endpoints that were missing within the last week, each with the server's error."""
        return {
            missing.endpoint.removeprefix(self._base_url): missing.message
            for missing in usage.missing_endpoints(self._connection, self._name)
            # Without the slash, the base URL `https://proxy/v1` would also match the endpoints of `https://proxy/v10`.
            if missing.endpoint.startswith(f"{self._base_url}/") and self._now - missing.observed_at < VALID_FOR
        }

    def record(self, path: str, message: str) -> None:
        """Store that the server lacks the endpoint at `path`. `message` is the server's error."""
        usage.record_missing_endpoint(self._connection, self._name, self._base_url + path, message, self._now)

    def forget(self, path: str) -> bool:
        """Delete the record that the endpoint at `path` is missing. Return whether such a record existed."""
        return usage.delete_missing_endpoint(self._connection, self._name, self._base_url + path)
