"""When an organization's history begins, and how many days of it the API serves. Days are UTC."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.warehouse import organizations

YEAR = dt.timedelta(days=365)


def fallback_start(today: dt.date) -> dt.date:
    """Where partitions begin as long as nothing else is known: a year back, which is what the API keeps."""
    return today - YEAR


def start_of(organization: Organization, known: organizations.Registered | None, today: dt.date) -> dt.date:
    """Where an organization's history begins: as configured, but no earlier than the API served on first contact.

    Before first contact it is the configured start, or else a year back from today.
    """
    days = [day for day in (organization.start_date, known.earliest_day if known else None) if day]
    return max(days) if days else fallback_start(today)


def served_days(known: organizations.Registered | None) -> int:
    """Return how many days the API serves an organization, today included.

    OpenAI serves the same number every day, so it follows from the earliest day that it served and when that was.
    """
    if known and known.earliest_day and known.first_contact_at:
        return max((known.first_contact_at.astimezone(dt.UTC).date() - known.earliest_day).days + 1, 1)
    return YEAR.days + 1
