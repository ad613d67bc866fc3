"""References to secrets: where one is found, never what it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from openai_costs_dagster.user_input import env_variable, read_text, strip_padding

_VARIABLE = re.compile(r"(?!sk-)[A-Za-z_][A-Za-z0-9_.-]*")


class SecretUnavailable(Exception):
    """A secret's environment variable or file is not there or empty; the text says which, and never the secret."""


class SecretReference(BaseModel):
    """``{env: NAME}`` or ``{file: PATH}``; read when used, so that rotating a secret needs no restart."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_a_reference(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("a secret does not belong in this file: write {env: NAME} or {file: PATH}")
        return value

    @model_validator(mode="after")
    def _names_one_place(self) -> SecretReference:
        if (self.env is None) == (self.file is None):
            raise ValueError("write either {env: NAME} or {file: PATH}")
        if self.env is not None and not _VARIABLE.fullmatch(self.env):
            raise ValueError("env takes the name of an environment variable, not a secret itself")
        return self

    def __str__(self) -> str:
        return f"environment variable {self.env}" if self.env else f"file {self.file}"

    def read(self) -> str:
        """The secret itself, trimmed. Raises SecretUnavailable."""
        if self.env:
            if value := env_variable(self.env):
                return value
            raise SecretUnavailable(f"the environment variable {self.env} is not set")
        assert self.file is not None  # noqa: S101 - the validator above
        try:
            secret = strip_padding(read_text(self.file))
        except OSError as error:
            raise SecretUnavailable(f"the file {self.file} cannot be read: {error.strerror}") from None
        except UnicodeError:
            raise SecretUnavailable(f"the file {self.file} is no text") from None
        except ValueError as error:  # a path that no file system can hold
            raise SecretUnavailable(f"the file {str(self.file)!r} cannot be read: {error}") from None
        if not secret:
            raise SecretUnavailable(f"the file {self.file} is empty")
        return secret

    def relative_to(self, folder: Path) -> SecretReference:
        """The same reference with a relative file taken from a folder."""
        return self.model_copy(update={"file": folder / self.file}) if self.file else self
