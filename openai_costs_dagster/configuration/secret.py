"""References to secrets in environment variables and files. A reference never contains the secret itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from openai_costs_dagster.user_input import env_variable, read_text, strip_padding

# A name that begins with sk- is not a variable but a key of OpenAI that was written in its place.
_VARIABLE = re.compile(r"(?!sk-)[A-Za-z_][A-Za-z0-9_.-]*")


class SecretUnavailable(Exception):
    """The environment variable or file of a secret is missing, empty or unreadable.

    The message names the variable or file.
    """


class SecretReference(BaseModel):
    """A reference ``{env: NAME}`` or ``{file: PATH}``. The secret is read at each use, so rotation needs no restart."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_a_reference(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("a secret must not be written into this file: write {env: NAME} or {file: PATH}")
        return value

    @model_validator(mode="after")
    def _names_one_place(self) -> SecretReference:
        if (self.env is None) == (self.file is None):
            raise ValueError("write either {env: NAME} or {file: PATH}")
        if self.env is not None and not _VARIABLE.fullmatch(self.env):
            raise ValueError("env must be the name of an environment variable, not the secret itself")
        return self

    def __str__(self) -> str:
        return f"environment variable {self.env}" if self.env else f"file {self.file}"

    def read(self) -> str:
        """Return the secret without surrounding whitespace. Raises `SecretUnavailable`."""
        if self.env:
            if value := env_variable(self.env):
                return value
            raise SecretUnavailable(f"the environment variable {self.env} is not set")
        assert self.file is not None  # noqa: S101 - the validator guarantees one of both
        try:
            secret = strip_padding(read_text(self.file))
        except OSError as error:
            raise SecretUnavailable(f"the file {self.file} cannot be read: {error.strerror}") from None
        except UnicodeError:
            raise SecretUnavailable(f"the file {self.file} is not text") from None
        except ValueError as error:  # the path contains a null character
            raise SecretUnavailable(f"the file {str(self.file)!r} cannot be read: {error}") from None
        if not secret:
            raise SecretUnavailable(f"the file {self.file} is empty")
        return secret

    def relative_to(self, folder: Path) -> SecretReference:
        """Return the reference with a relative file path resolved against a folder."""
        return self.model_copy(update={"file": folder / self.file}) if self.file else self
