"""Remembers for a week which endpoints an organization's server lacks, so that not every run requests them."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.warehouse import usage
from openai_costs_dagster.warehouse.database import Connection

VALID_FOR = dt.timedelta(days=7)
"""Time after which a missing endpoint is requested again."""


class MissingEndpoints:
    """The missing endpoints of one organization, by path.

    Each path is stored with the organization's `base_url`, so that a new server is requested at once.
    """

    def __init__(self, connection: Connection, organization: Organization, now: dt.datetime) -> None:
        self._connection = connection
        self._name = organization.name
        self._base_url = organization.base_url.rstrip("/")
        self._now = now

    def known(self) -> dict[str, str]:
        """Return the paths that need no request now, each with the server's error."""
        return {
            missing.endpoint.removeprefix(self._base_url): missing.message
            for missing in usage.missing_endpoints(self._connection, self._name)
            # The slash keeps `https://proxy/v1` from matching the endpoints of `https://proxy/v10`.
            if missing.endpoint.startswith(f"{self._base_url}/") and self._now - missing.observed_at < VALID_FOR
        }

    def record(self, path: str, message: str) -> None:
        """Store that the server lacks the path, with its error."""
        usage.record_missing_endpoint(self._connection, self._name, self._base_url + path, message, self._now)

    def forget(self, path: str) -> bool:
        """Delete the record of a path that the server serves now. Return whether there was a record."""
        return usage.delete_missing_endpoint(self._connection, self._name, self._base_url + path)
