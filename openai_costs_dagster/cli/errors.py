"""Which errors are told to a person in one sentence, and with which exit code; all others are ours and show a trace."""

from __future__ import annotations

from typing import NamedTuple

from openai_costs_dagster.api.errors import ApiError
from openai_costs_dagster.configuration import ConfigurationError
from openai_costs_dagster.configuration.secret import SecretUnavailable
from openai_costs_dagster.report.atomic_file import NotWritable
from openai_costs_dagster.report.focus_files import FocusError, UnknownFormat
from openai_costs_dagster.warehouse.errors import WarehouseError

EXIT_MISTAKE, EXIT_FAILURE = 2, 1


class UserMessage(NamedTuple):
    """A sentence and the exit code that goes with it."""

    text: str
    exit_code: int


class InputMistake(Exception):
    """What was typed cannot be done; the text says why and what would do."""


def user_message(error: BaseException) -> UserMessage | None:
    """The sentence for an error, or None where it is a defect of ours."""
    if isinstance(error, ConfigurationError | InputMistake | SecretUnavailable | NotWritable | UnknownFormat):
        return UserMessage(str(error), EXIT_MISTAKE)
    if isinstance(error, ApiError | FocusError | WarehouseError):
        return UserMessage(str(error), EXIT_FAILURE)
    from openai_costs_dagster.orchestration.runtime.storage_session import storage_failure

    failure = storage_failure(error)
    return UserMessage(str(failure), EXIT_FAILURE) if failure else None
