"""Tests of secret references: a secret is read at each use, and no message or representation contains the secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from openai_costs_dagster.configuration.secret import SecretReference, SecretUnavailable

_SECRET = "sk-admin-DoNotShowThis"


def test_rotated_secret_is_read_without_a_restart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    of_variable, of_file = SecretReference(env="A_KEY"), SecretReference(file=tmp_path / "key")
    for rotation in ("first", "second"):
        monkeypatch.setenv("A_KEY", rotation)
        (tmp_path / "key").write_text(rotation, encoding="utf-8")
        assert (of_variable.read(), of_file.read()) == (rotation, rotation)


def test_white_space_around_a_secret_is_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A_KEY", f"  {_SECRET}\n")
    (tmp_path / "key").write_text(f"\n{_SECRET}\r\n", encoding="utf-8")
    assert SecretReference(env="A_KEY").read() == _SECRET
    assert SecretReference(file=tmp_path / "key").read() == _SECRET


@pytest.mark.parametrize("around", ["\ufeff", "\r\n", " \t", "\u200b", "\ufeff \r\n\ufeff"])
def test_padding_of_editors_and_shells_is_removed_from_a_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, around: str
) -> None:
    monkeypatch.setenv("A_KEY", f"{around}{_SECRET}{around}")
    assert SecretReference(env=" A_KEY\n").read() == _SECRET
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "key").write_text(f"{around}{_SECRET}{around}", encoding=encoding)
        assert SecretReference(file=tmp_path / "key").read() == _SECRET


@pytest.mark.parametrize("value", [None, "", " \n", "\ufeff"])
def test_unset_or_empty_variable_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("A_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("A_KEY", value)
    with pytest.raises(SecretUnavailable, match="the environment variable A_KEY is not set"):
        SecretReference(env="A_KEY").read()


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), (b"", "is empty"), (b" \n", "is empty"), (b"\xff\xff", "is not text")]
)
def test_unusable_file_is_named_in_the_error_with_the_reason(tmp_path: Path, content: bytes | None, why: str) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SecretUnavailable) as raised:
        SecretReference(file=file).read()
    assert str(file) in str(raised.value)
    assert why in str(raised.value)


def test_folder_in_place_of_a_secret_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretUnavailable, match="cannot be read"):
        SecretReference(file=tmp_path).read()


@pytest.mark.parametrize(
    "value",
    [{}, {"env": None}, {"env": "A", "file": "b"}, {"env": ""}, {"env": "A", "value": _SECRET}, _SECRET],
    ids=["nothing", "null", "both", "an empty name", "another setting", "the secret itself"],
)
def test_reference_has_exactly_one_source(value: Any) -> None:
    with pytest.raises(ValidationError):
        SecretReference.model_validate(value)


def test_secret_in_place_of_a_reference_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValidationError) as raised:
        SecretReference.model_validate(_SECRET)
    assert _SECRET not in raised.value.errors()[0]["msg"]


def test_secret_in_place_of_a_variables_name_is_refused() -> None:
    # The error for an unset variable contains the name of the variable, which would be the secret in this case.
    with pytest.raises(ValidationError):
        SecretReference.model_validate({"env": _SECRET})


def test_no_text_of_a_reference_contains_the_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A_KEY", _SECRET)
    file = tmp_path / "key"
    file.write_text(_SECRET, encoding="utf-8")
    of_variable, of_file = SecretReference(env="A_KEY"), SecretReference(file=file)
    assert (str(of_variable), str(of_file)) == ("environment variable A_KEY", f"file {file}")
    for reference in (of_variable, of_file):
        reference.read()
        assert _SECRET not in f"{reference!r} {reference} {reference.model_dump_json()}"


def test_only_relative_files_are_resolved_against_the_folder(tmp_path: Path) -> None:
    assert SecretReference(file=Path("keys/a")).relative_to(tmp_path).file == tmp_path / "keys/a"
    assert SecretReference(file=Path("/run/secrets/a")).relative_to(tmp_path).file == Path("/run/secrets/a")
    assert SecretReference(env="A_KEY").relative_to(tmp_path) == SecretReference(env="A_KEY")
