"""Tests of reading environment variables and text files with padding and various encodings."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import openai_costs_dagster
from openai_costs_dagster.user_input import env_variable, read_text, strip_padding

_PACKAGE = Path(openai_costs_dagster.__file__).parent


@pytest.mark.parametrize("padding", ["", " ", "\t", "\r\n", "\n", "\u00a0", "\ufeff", "\u200b", "\ufeff \r\n\ufeff"])
def test_padding_is_removed_around_a_value_and_kept_inside(monkeypatch: pytest.MonkeyPatch, padding: str) -> None:
    value = f"a{padding}b"
    assert strip_padding(f"{padding}{value}{padding}") == value
    monkeypatch.setenv("A_VARIABLE", f"{padding}{value}{padding}")
    assert env_variable("A_VARIABLE") == value


@pytest.mark.parametrize("value", ["", " ", "\r\n", "\ufeff"])
def test_empty_variable_is_treated_as_unset(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("A_VARIABLE", value)
    assert env_variable("A_VARIABLE") is None
    monkeypatch.delenv("A_VARIABLE")
    assert env_variable("A_VARIABLE") is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_files_are_read_in_the_encodings_of_windows(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a b'c\"d%$`\\\u00e4\u65e5"
    path.write_bytes("first: \u00e4\u65e5\r\nsecond\r\n".encode(encoding))
    assert read_text(path) == "first: \u00e4\u65e5\nsecond\n"


@pytest.mark.parametrize("content", [b"\xff\xffx", b"\xe4\n", b"\xff\xfea"])
def test_file_in_another_encoding_raises(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UnicodeError):
        read_text(tmp_path / "file")


def test_environment_variables_are_read_only_in_user_input() -> None:
    # A direct read of os.environ would keep the spaces and line breaks around a value.
    readers = {
        path.relative_to(_PACKAGE).as_posix()
        for path in _PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr == "getenv")
        or (isinstance(node, ast.Attribute) and node.attr == "get" and ast.unparse(node.value) == "os.environ")
        or (
            isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Load)
            and ast.unparse(node.value) == "os.environ"
        )
    }
    # Templates of a component contain the same values as in Dagster, which keeps spaces and line breaks.
    assert readers == {"user_input.py", "configuration/component_file.py"}


def test_very_large_file_is_refused_without_being_read_completely() -> None:
    with pytest.raises(OSError, match="it has more than 2,000,000 characters"):
        read_text(Path("/dev/zero"))
