"""Exceptions that end a command with one message and an exit code. All other exceptions are bugs and print a trace."""

from __future__ import annotations

from typing import NamedTuple

from openai_costs_dagster.api.errors import ApiError
from openai_costs_dagster.configuration import ConfigurationError
from openai_costs_dagster.configuration.secret import SecretUnavailable
from openai_costs_dagster.file_errors import is_disk_failure, reason
from openai_costs_dagster.report.atomic_file import NotWritable
from openai_costs_dagster.report.focus_files import FocusError, UnknownFormat
from openai_costs_dagster.warehouse.errors import WarehouseError

EXIT_MISTAKE, EXIT_FAILURE = 2, 1


class UserMessage(NamedTuple):
    """A message for the user with the exit code of the command."""

    text: str
    exit_code: int


class InputMistake(Exception):
    """Invalid input on the command line. The text contains the reason and the remedy."""


class DagsterEnded(Exception):
    """A process of Dagster ended and does not start again. The text names the process and the reason."""


def user_message(error: BaseException) -> UserMessage | None:
    """Return the message for an exception, or None if the exception is a bug."""
    if isinstance(error, ConfigurationError | InputMistake | SecretUnavailable | NotWritable | UnknownFormat):
        return UserMessage(str(error), EXIT_MISTAKE)
    if isinstance(error, ApiError | FocusError | WarehouseError | DagsterEnded):
        return UserMessage(str(error), EXIT_FAILURE)
    if is_disk_failure(error):
        return UserMessage(f"{error.filename or 'the output'} cannot be written: {reason(error)}", EXIT_MISTAKE)
    # Only an exception that no class above covers can come from Dagster's storage, so most commands never import this
    # module.
    from openai_costs_dagster.orchestration.runtime.storage_session import storage_failure

    failure = storage_failure(error)
    return UserMessage(str(failure), EXIT_FAILURE) if failure else None
