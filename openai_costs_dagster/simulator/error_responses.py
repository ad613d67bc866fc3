"""What the API says when it says no, in the shape and as far as known in the words of the live one."""

import json
from datetime import date


class RefusalError(Exception):
    """A request is answered with an error."""

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
    """The body of an error, as the spec's ErrorResponse has it."""
    return json.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}}, indent=2)


def bad_parameter(param: str, message: str, code: str = "invalid_value") -> RefusalError:
    """400: a query parameter is not what it should be."""
    return RefusalError(400, message, param=param, code=code)


def incorrect_key(key: str | None) -> RefusalError:
    """401. Like the live API it echoes the beginning and the end of the key: readers must redact."""
    if not key:
        return RefusalError(
            401, "You didn't provide an API key. Provide it in an Authorization header using Bearer auth."
        )
    shown = f"{key[:8]}{'*' * max(3, len(key) - 12)}{key[-4:] if len(key) > 12 else ''}"
    return RefusalError(401, f"Incorrect API key provided: {shown}.", code="invalid_api_key")


def missing_scope(scope: str) -> RefusalError:
    """403: the key is right and may not do this."""
    return RefusalError(
        403,
        f"You have insufficient permissions for this operation. Missing scopes: {scope}. Check that you"
        " have the correct role in your organization, and if you're using a restricted API key, that it has"
        " the necessary scopes.",
    )


def unknown_path(method: str, path: str) -> RefusalError:
    """404, as a proxy that serves another path would say."""
    return RefusalError(404, f"Invalid URL ({method} {path})")


def unknown_project(project_id: str) -> RefusalError:
    """404: the path is right and the project is nobody's."""
    return RefusalError(404, f"No such project: {project_id}.", param="project_id", code="project_not_found")


def no_spend_limit() -> RefusalError:
    """404 where no limit is set. The live wording is not known."""
    return RefusalError(404, "No spend limit is set.", param=None, code="not_found")


def project_archived(project_id: str) -> RefusalError:
    """400: an archived project lists no keys. The live wording is not known."""
    return RefusalError(400, f"Project {project_id} is archived.", param="project_id", code="invalid_request_error")


def wrong_method(method: str, path: str) -> RefusalError:
    """405: everything here is read only."""
    return RefusalError(405, f"Not allowed to {method} on {path}.", code="method_not_supported")


def window_too_short() -> RefusalError:
    """400: costs compares UTC calendar dates, so a window inside one day ends before it begins."""
    return RefusalError(400, "end_date must come after start_date", param="end_time", code="invalid_request_error")


def lookback_exceeded(earliest: date) -> RefusalError:
    """400: history is a rolling year."""
    return RefusalError(
        400,
        "Usage and cost data are available for the past year."
        f" Earliest supported start date: {earliest.isoformat()} (UTC).",
        param="start_time",
        code="reporting_lookback_exceeded",
    )


def api_keys_refused(since: date | None) -> RefusalError:
    """400: api_key_id is not served for a window that starts before `since`, or never."""
    if since is None:
        return RefusalError(
            400,
            "Grouping by api_key_id is not supported for this organization.",
            param="group_by",
            code="invalid_request_error",
        )
    return RefusalError(
        400,
        f"Grouping by api_key_id is only supported for a start_time on or after {since.isoformat()} (UTC).",
        param="start_time",
        code="invalid_request_error",
    )


def users_refused() -> RefusalError:
    """400 for user_id by itself; like the refusal of api_key_id, which was captured."""
    return RefusalError(
        400,
        "Grouping by user_id is not supported for this organization.",
        param="group_by",
        code="invalid_request_error",
    )


def users_with_projects_refused() -> RefusalError:
    """400, in the words of the official SDK's documentation of `group_by`."""
    return RefusalError(
        400,
        "Combining user_id with project_id grouping or the project_ids filter is not supported for this"
        " organization and the requested time range.",
        param="group_by",
        code="invalid_request_error",
    )
