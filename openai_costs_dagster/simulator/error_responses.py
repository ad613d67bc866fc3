"""The error responses of the simulated API, with the messages of the live API as far as they are known."""

import json
from datetime import date


class RefusalError(Exception):
    """A request that the API refuses, with the error that the API returns."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.text = error_text(message, param=param, code=code, kind=kind)


def error_text(message: str, *, param: str | None, code: str | None, kind: str) -> str:
    """Return the JSON body of an error, in the format `ErrorResponse` of the specification."""
    return json.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}}, indent=2)


def bad_parameter(param: str, message: str, code: str = "invalid_value") -> RefusalError:
    """Return the error for an invalid query parameter (400)."""
    return RefusalError(400, message, param=param, code=code)


def incorrect_key(key: str | None) -> RefusalError:
    """Return the error for a wrong key (401).

    Like the live API, the message contains the first and the last characters of the key. Clients must therefore redact
    it.
    """
    if not key:
        return RefusalError(
            401, "You didn't provide an API key. Provide it in an Authorization header using Bearer auth."
        )
    # For keys of up to 12 characters, the last characters are left out, because almost the whole key would be shown.
    shown = f"{key[:8]}{'*' * max(3, len(key) - 12)}{key[-4:] if len(key) > 12 else ''}"
    return RefusalError(401, f"Incorrect API key provided: {shown}.", code="invalid_api_key")


def missing_scope(scope: str) -> RefusalError:
    """Return the error for a valid key without a scope that the endpoint requires (403)."""
    return RefusalError(
        403,
        f"You have insufficient permissions for this operation. Missing scopes: {scope}. Check that you"
        " have the correct role in your organization, and if you're using a restricted API key, that it has"
        " the necessary scopes.",
    )


def unknown_path(method: str, path: str) -> RefusalError:
    """Return the error for an unknown path (404)."""
    return RefusalError(404, f"Invalid URL ({method} {path})")


def unknown_project(project_id: str) -> RefusalError:
    """Return the error for an unknown project id (404)."""
    return RefusalError(404, f"No such project: {project_id}.", param="project_id", code="project_not_found")


def no_spend_limit() -> RefusalError:
    """Return the error for an organization without a hard spend limit (404).

    The message of the live API is not known.
    """
    return RefusalError(404, "No spend limit is set.", param=None, code="not_found")


def project_archived(project_id: str) -> RefusalError:
    """Return the error for a request for the API keys of an archived project (400).

    The message of the live API is not known.
    """
    return RefusalError(400, f"Project {project_id} is archived.", param="project_id", code="invalid_request_error")


def wrong_method(method: str, path: str) -> RefusalError:
    """Return the error for any method other than GET (405)."""
    return RefusalError(405, f"Not allowed to {method} on {path}.", code="method_not_supported")


def window_too_short() -> RefusalError:
    """Return the error for a requested period within one UTC day (400).

    The live API compares the calendar dates of the start and the end, and not their times.
    """
    return RefusalError(400, "end_date must come after start_date", param="end_time", code="invalid_request_error")


def lookback_exceeded(earliest: date) -> RefusalError:
    """Return the error for a requested period that begins before the earliest supported day (400)."""
    return RefusalError(
        400,
        "Usage and cost data are available for the past year."
        f" Earliest supported start date: {earliest.isoformat()} (UTC).",
        param="start_time",
        code="reporting_lookback_exceeded",
    )


def api_keys_refused(since: date | None) -> RefusalError:
    """Return the error for grouping by api_key_id (400).

    The error refers to days before the day `since`, or to all days if `since` is None.
    """
    if since is None:
        return RefusalError(
            400,
            "Grouping by api_key_id is not supported for this organization.",
            param="group_by",
            code="invalid_request_error",
        )
    # The values of `param` and `code` come from a captured response. Clients recognize the refusal by these two values.
    return RefusalError(
        400,
        f"Grouping by api_key_id is only supported for a start_time on or after {since.isoformat()} (UTC).",
        param="start_time",
        code="invalid_request_error",
    )


def users_refused() -> RefusalError:
    """Return the error for grouping by user_id alone (400).

    The format is that of the captured error for api_key_id.
    """
    return RefusalError(
        400,
        "Grouping by user_id is not supported for this organization.",
        param="group_by",
        code="invalid_request_error",
    )


def users_with_projects_refused() -> RefusalError:
    """Return the error for grouping by user_id together with project_id (400).

    The text comes from the documentation of the parameter `group_by` in OpenAI's SDK.
    """
    return RefusalError(
        400,
        "Combining user_id with project_id grouping or the project_ids filter is not supported for this"
        " organization and the requested time range.",
        param="group_by",
        code="invalid_request_error",
    )
