"""Tests of finding the configuration: a named file, a file in the working directory, or environment variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from openai_costs_dagster import configuration
from openai_costs_dagster.configuration import ConfigurationError

from .conftest import ACME, KEY, LEAK, Write


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, in an environment without the variables of the configuration."""
    for name in ("OPENAI_COSTS_CONFIG", "OPENAI_ADMIN_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "empty_folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_file_named_by_the_environment_precedes_file_and_key(
    empty_folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_COSTS_CONFIG", str(write(ACME)))
    monkeypatch.setenv("OPENAI_ADMIN_KEY", KEY)
    (empty_folder / "openai_costs.yaml").write_text(ACME.replace("acme", "other"), encoding="utf-8")
    assert list(configuration.load().organizations) == ["acme"]


def test_file_in_the_working_directory_precedes_the_key_in_the_environment(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", KEY)
    (empty_folder / "openai_costs.yaml").write_text(ACME, encoding="utf-8")
    assert list(configuration.load().organizations) == ["acme"]


def test_missing_file_named_by_the_environment_is_an_error(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_COSTS_CONFIG", "absent.yaml")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", KEY)
    (empty_folder / "openai_costs.yaml").write_text(ACME, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"OPENAI_COSTS_CONFIG names absent\.yaml, which does not exist"):
        configuration.load()


@pytest.mark.usefixtures("empty_folder")
def test_missing_file_named_by_the_caller_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", KEY)
    with pytest.raises(ConfigurationError, match=r"absent\.yaml"):
        configuration.load(Path("absent.yaml"))


def test_missing_file_and_key_are_refused_with_the_remedy(empty_folder: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        configuration.load()
    for needed in (str(empty_folder), "openai_costs.yaml", "OPENAI_ADMIN_KEY"):
        assert needed in str(raised.value)


def test_key_in_the_environment_is_an_organization_named_default(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", KEY)
    read = configuration.load()
    assert list(read.organizations) == ["default"]
    organization = read.organization("default")
    assert organization.admin_key.read() == KEY
    assert (organization.base_url, organization.organization_id) == ("https://api.openai.com/v1", None)
    assert (read.database, read.source) == (None, None)
    assert read.data_directory == empty_folder.resolve() / ".openai-costs"
    assert LEAK not in repr(read)


@pytest.mark.usefixtures("empty_folder")
def test_other_variables_apply_to_the_organization_named_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://proxy.example/v1")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-ABC")
    monkeypatch.setenv("DATABASE_URL", f"postgresql://user:{LEAK}@host/db")
    read = configuration.load()
    organization = read.organization("default")
    assert (organization.base_url, organization.organization_id) == ("https://proxy.example/v1", "org-ABC")
    assert read.database is not None
    assert read.database.url.read() == f"postgresql://user:{LEAK}@host/db"
    assert LEAK not in repr(read)


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize("around", ["\ufeff", "\r\n", " \t ", "\r"])
def test_padding_around_a_variable_is_removed(monkeypatch: pytest.MonkeyPatch, around: str) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", f"{around}{KEY}{around}")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{around}https://proxy.example/v1{around}")
    monkeypatch.setenv("OPENAI_ORG_ID", f"{around}org-ABC{around}")
    monkeypatch.setenv("DATABASE_URL", f"{around}postgresql://host/db{around}")
    read = configuration.load()
    organization = read.organization("default")
    assert (organization.admin_key.read(), organization.base_url, organization.organization_id) == (
        KEY,
        "https://proxy.example/v1",
        "org-ABC",
    )
    assert read.database is not None
    assert read.database.url.read() == "postgresql://host/db"


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize("empty", ["", " \r\n", "\ufeff"])
def test_empty_variables_are_treated_as_unset(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    for name in ("OPENAI_COSTS_CONFIG", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "DATABASE_URL"):
        monkeypatch.setenv(name, empty)
    monkeypatch.setenv("OPENAI_ADMIN_KEY", KEY)
    read = configuration.load()
    organization = read.organization("default")
    assert (organization.base_url, organization.organization_id, read.database) == (
        "https://api.openai.com/v1",
        None,
        None,
    )
    monkeypatch.setenv("OPENAI_ADMIN_KEY", empty)
    with pytest.raises(ConfigurationError, match="nor OPENAI_ADMIN_KEY in the environment"):
        configuration.load()


def test_padding_around_the_file_name_is_removed(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_COSTS_CONFIG", f"\ufeff {write(ACME)}\r\n")
    assert list(configuration.load().organizations) == ["acme"]


def test_invalid_file_name_is_reported_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_COSTS_CONFIG", "x" * 300)
    with pytest.raises(ConfigurationError, match=r"cannot be read: File name too long$"):
        configuration.load()


def test_deleted_working_directory_is_reported_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ConfigurationError, match="the working directory was deleted: change to another directory"):
        configuration.load()


def test_link_to_the_file_stays_the_source_and_relative_paths_belong_to_its_target(
    write: Write, tmp_path: Path
) -> None:
    target = write(ACME)
    (tmp_path / "mounted").mkdir()
    link = tmp_path / "mounted" / "costs.yaml"
    link.symlink_to(target)
    read = configuration.load(link)
    assert read.source == link
    assert read.data_directory == target.resolve().parent / ".openai-costs"


def test_link_to_itself_is_reported_in_one_sentence(write: Write, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigurationError, match="loop cannot be read: Too many levels of symbolic links"):
        configuration.load(tmp_path / "loop")
    file = write(ACME + "data_directory: loop/data\n")
    (file.parent / "loop").unlink(missing_ok=True)
    (file.parent / "loop").symlink_to("loop")
    with pytest.raises(ConfigurationError, match="data_directory cannot be used"):
        configuration.load(file)


@pytest.mark.usefixtures("empty_folder")
def test_invalid_environment_is_named_in_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://proxy.example/v1")
    with pytest.raises(ConfigurationError, match=r"^the environment: .*base_url is plain http to proxy\.example"):
        configuration.load()
