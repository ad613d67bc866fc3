"""Checks the connection of an organization for `openai-costs check`. Sends at most two requests and stores nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import INTERACTIVE, AdminApi, ConnectionSettings
from openai_costs_dagster.api.costs import OrganizationGuard, read_costs
from openai_costs_dagster.cost_records import UNGROUPED
from openai_costs_dagster.days import ONE_DAY, DayRange

_OFFICIAL_HOST = "api.openai.com"
_ADMIN_PREFIX = "sk-admin-"
_DAYS = 7


@dataclass(frozen=True)
class ConnectionCheck:
    """The result of a connection check.

    `headline` uses the wording of other OpenAI connectors, so that a search for the message finds help. `advice` is
    the next step for the user.
    """

    ok: bool
    headline: str
    advice: str | None = None
    organization_id: str | None = None
    clock_warning: str | None = None
    """A sentence about a local clock that differs from the server's clock."""


def admin_key_warning(settings: ConnectionSettings) -> str | None:
    """Return a warning about a key that does not look like an admin key, or None.

    The warning is limited to OpenAI's own host, because a proxy may accept any key. Raises SecretUnavailable if the
    key cannot be read.
    """
    key = settings.read_admin_key()
    if _OFFICIAL_HOST in settings.base_url and not key.startswith(_ADMIN_PREFIX):
        return f"the key does not begin with {_ADMIN_PREFIX}, as OpenAI's admin keys do"
    return None


def check_connection(
    settings: ConnectionSettings, expected_id: str | None, now: Callable[[], dt.datetime]
) -> ConnectionCheck:
    """Read the ungrouped costs of the last seven UTC days before today and return the result. `now` is the clock.

    An `ApiError` becomes a failed check. Raises SecretUnavailable if the key cannot be read.
    """
    guard, today = OrganizationGuard(expected_id), now().date()
    clock_warning: str | None = None
    try:
        with AdminApi(settings, now=now, retry_policy=INTERACTIVE) as api:
            try:
                _read(api, DayRange(today - _DAYS * ONE_DAY, today - ONE_DAY), guard)
            except errors.DaysNotStarted as refusal:
                _read(api, DayRange(refusal.today - _DAYS * ONE_DAY, refusal.today - ONE_DAY), guard)
            finally:
                clock_warning = api.server_clock.warning
    except errors.ApiError as error:
        headline, advice = _explain(error)
        return ConnectionCheck(False, headline, advice, clock_warning=clock_warning)
    return ConnectionCheck(
        True,
        "Successfully connected to OpenAI API",
        organization_id=guard.organization_id,
        clock_warning=clock_warning,
    )


def _read(api: AdminApi, days: DayRange, guard: OrganizationGuard) -> None:
    for _ in read_costs(api, days, UNGROUPED, guard):
        pass  # The generator sends its requests only while it is consumed.


def _explain(error: errors.ApiError) -> tuple[str, str]:
    """Return a headline that names the failure of the connection check, and a sentence with the remedy."""
    if isinstance(error, errors.AuthenticationFailed):
        # The client rejected the key before any request, so its message already contains the reason.
        if error.status is None:
            return "Authentication failed - please check your API key", str(error)
        return (
            "Authentication failed - please check your API key",
            "OpenAI does not accept the key: the key is mistyped, deleted or not an admin key",
        )
    if isinstance(error, errors.PermissionDenied):
        return (
            f"Connection failed with status {error.status}",
            f"the key may not read costs: give it the scope api.usage.read ({error})",
        )
    if isinstance(error, errors.WrongOrganization):
        return "The key belongs to another organization", str(error)
    headline = f"Connection failed with status {error.status}" if error.status else "Connection failed"
    hint = _hint(error)
    return headline, f"{error}; {hint}" if hint else str(error)


def _hint(error: errors.ApiError) -> str | None:
    """Return the remedy for an error whose message contains none."""
    if isinstance(error, errors.Unreachable | errors.ConnectionRejected | errors.DaysNotStarted):
        # The messages of these errors already end with a remedy, so a second one would repeat it.
        return None
    if isinstance(error, errors.EndpointNotFound):
        return "base_url must end where /organization/costs begins, as in https://api.openai.com/v1"
    if isinstance(error, errors.RateLimited | errors.ServerError | errors.ResponseTooSlow):
        return "try again in a few minutes, and check base_url if that does not help"
    return "check whether base_url is the address of OpenAI's API, and whether a proxy changes its responses"
