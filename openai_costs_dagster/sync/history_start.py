"""Computes the first day of an organization's history and the number of days that OpenAI serves. Days are UTC days."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.warehouse import organizations

YEAR = dt.timedelta(days=365)


def fallback_start(today: dt.date) -> dt.date:
    """Return the first day of a history whose start is unknown: one year ago, as OpenAI serves costs of one year."""
    return today - YEAR


def start_of(organization: Organization, stored: organizations.StoredOrganization | None, today: dt.date) -> dt.date:
    """Return the first day of an organization's history.

    The first day is the later one of the configured start date and the first day that OpenAI served when the
    organization was onboarded. If both are unknown, the first day is one year before `today`.
    """
    days = [day for day in (organization.start_date, stored.earliest_day if stored else None) if day]
    return max(days) if days else fallback_start(today)


def served_days(stored: organizations.StoredOrganization | None) -> int:
    """Return for how many days, including today, OpenAI serves the costs of an organization.

    OpenAI serves the same number of days on every date. The number is therefore computed from the date on which the
    organization was onboarded and the first day that OpenAI served on that date.
    """
    if stored and stored.earliest_day and stored.onboarded_at:
        return max((stored.onboarded_at.astimezone(dt.UTC).date() - stored.earliest_day).days + 1, 1)
    return YEAR.days + 1


def first_served_day(stored: organizations.StoredOrganization | None, today: dt.date) -> dt.date:
    """Return the oldest day that OpenAI serves on the date `today`. No backfill can fetch an older day."""
    return today - dt.timedelta(days=served_days(stored) - 1)
