"""What an organization's server was found not to serve, remembered for a week so that each run need not ask."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.warehouse import usage
from openai_costs_dagster.warehouse.database import Connection

KEPT_FOR = dt.timedelta(days=7)


class MissingEndpoints:
    """By path, of the address that the organization is read at now: another server may serve what this one lacks."""

    def __init__(self, connection: Connection, organization: Organization, now: dt.datetime) -> None:
        self._connection = connection
        self._name = organization.name
        self._base_url = organization.base_url.rstrip("/")
        self._now = now

    def known(self) -> dict[str, str]:
        """The paths that need not be asked for, and what was said of each."""
        return {
            one.what.removeprefix(self._base_url): one.said
            for one in usage.absences(self._connection, self._name)
            if one.what.startswith(f"{self._base_url}/") and self._now - one.seen_at < KEPT_FOR
        }

    def record(self, path: str, said: str) -> None:
        """Remembers that nothing is served there."""
        usage.note_absence(self._connection, self._name, self._base_url + path, said, self._now)

    def forget(self, path: str) -> bool:
        """Forgets what was said of a path that answers; whether anything was."""
        return usage.forget_absence(self._connection, self._name, self._base_url + path)
