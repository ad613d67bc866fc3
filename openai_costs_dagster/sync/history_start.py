"""The first day of an organization's history, and the number of days that OpenAI serves. Days are UTC days."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.warehouse import organizations

YEAR = dt.timedelta(days=365)


def fallback_start(today: dt.date) -> dt.date:
    """Return the first day if nothing else is known: one year back, because OpenAI serves costs of one year."""
    return today - YEAR


def start_of(organization: Organization, stored: organizations.StoredOrganization | None, today: dt.date) -> dt.date:
    """Return the first day of an organization's history.

    This is the later one of the configured start date and the first day that OpenAI served during onboarding. If
    neither is known, it is one year back from `today`.
    """
    days = [day for day in (organization.start_date, stored.earliest_day if stored else None) if day]
    return max(days) if days else fallback_start(today)


def served_days(stored: organizations.StoredOrganization | None) -> int:
    """Return the number of days that OpenAI serves an organization, including today.

    OpenAI serves the same number of days on every date. The number therefore follows from the first day that OpenAI
    served during onboarding and the date of the onboarding.
    """
    if stored and stored.earliest_day and stored.onboarded_at:
        return max((stored.onboarded_at.astimezone(dt.UTC).date() - stored.earliest_day).days + 1, 1)
    return YEAR.days + 1


def first_served_day(stored: organizations.StoredOrganization | None, today: dt.date) -> dt.date:
    """Return the oldest day that OpenAI still serves. No backfill can read an older day."""
    return today - dt.timedelta(days=served_days(stored) - 1)
