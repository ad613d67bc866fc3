"""Tests of the configuration that `openai-costs --defs PATH` reads from the component in a `defs.yaml`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from openai_costs_dagster.configuration import Configuration, ConfigurationError, lines_of_organization, read_file
from openai_costs_dagster.configuration.component_file import find

_ORGANIZATIONS = "organizations: {acme: {admin_key: {env: ACME_KEY}, start_date: '2026-01-01'}}"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Dagster project whose Python package is named `host`."""
    defs = tmp_path / "src" / "host" / "defs"
    defs.mkdir(parents=True)
    for folder in (defs, defs.parent):
        (folder / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text('[tool.dg]\ndirectory_type = "project"\nproject.root_module = "host"\n')
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "host"]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def write(project: Path, attributes: str, *, name: str = "openai") -> Path:
    """Write a `defs.yaml` with the given attributes of the component, one per line, and return its path."""
    file = project / "src" / "host" / "defs" / name / "defs.yaml"
    file.parent.mkdir()
    indented = "".join(f"  {line}\n" for line in attributes.splitlines())
    file.write_text(f"type: openai_costs_dagster.OpenAICostsComponent\nattributes:\n{indented}", encoding="utf-8")
    return file


def load_with_dagster(project: Path, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    """Load a project with Dagster and return the configuration from which Dagster builds the component."""
    built: list[Configuration] = []

    def build(configuration: Configuration, **_: object) -> dg.Definitions:
        built.append(configuration)
        return dg.Definitions()

    monkeypatch.setattr("openai_costs_dagster.component.build_definitions", build)
    dg.load_from_defs_folder(path_within_project=project)
    (configuration,) = built
    return configuration


@pytest.mark.parametrize(
    "attributes",
    [
        _ORGANIZATIONS + "\ngroup_name: finance\ntags: {a: b}\ndata_directory: data",
        _ORGANIZATIONS + '\ndata_directory: "{{ env.COSTS_DATA }}/data"\ndagster_url: "{{ env(\'COSTS_URL\') }}"',
        _ORGANIZATIONS + "\ndata_directory: \"{{ env.NOT_SET }}\"\ndagster_url: \"{{ env('NOT_SET', 'http://a.b') }}\"",
        _ORGANIZATIONS.replace("env: ACME_KEY", "file: keys/acme") + "\nretention: {raw_pages_days: 30}",
        'config: "{{ env.COSTS_CONFIG }}"\ngroup_name: finance',
        "config: settings/openai_costs.yaml",
    ],
)
def test_command_line_and_dagster_read_the_same_configuration(
    project: Path, monkeypatch: pytest.MonkeyPatch, attributes: str
) -> None:
    for name, value in {"DATA": "from_env", "URL": "http://c.d", "CONFIG": "settings/openai_costs.yaml"}.items():
        monkeypatch.setenv(f"COSTS_{name}", value)
    (project / "settings").mkdir()
    (project / "settings" / "openai_costs.yaml").write_text(_ORGANIZATIONS + "\ndata_directory: data\n")
    file = write(project, attributes)
    found = read_file(find(project))
    assert found.source == file
    assert found.model_copy(update={"source": None}) == load_with_dagster(project, monkeypatch).model_copy(
        update={"source": None}
    )


def test_automation_of_the_component_is_read(project: Path) -> None:
    write(project, _ORGANIZATIONS + "\nautomation: false")
    assert read_file(find(project)).automation is False


def test_error_in_a_nested_setting_names_file_and_line_in_both_readers(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(project, "organizations:\n  acme:\n    admin_key: {env: KEY}\n    budgets:\n      - {amount_usd: -5}")
    expected = f"^{file}, line 7: organizations.acme.budgets.0.amount_usd: "
    with pytest.raises(ConfigurationError, match=expected):
        read_file(find(project))
    with pytest.raises(Exception, match=r"defs\.yaml") as raised:
        dg.load_from_defs_folder(path_within_project=project)
    with pytest.raises(ConfigurationError, match=expected):
        raise raised.value.__cause__ or raised.value


@pytest.mark.parametrize(
    ("attributes", "line", "message"),
    [
        ("config: a.yaml\n" + _ORGANIZATIONS, 3, "config names a file with all settings: move organizations into"),
        (_ORGANIZATIONS + '\ndata_directory: "{{ context.project_root }}"', 4, "a template that only Dagster can"),
        (_ORGANIZATIONS + "\ndata_directory: \"{{ env('NOT_SET') }}\"", 4, "environment variable NOT_SET is not set"),
        (_ORGANIZATIONS + '\ndata_directory: "{{ env. }}"', 4, "this template cannot be replaced"),
        ('organizations: {acme: {admin_key: "{{ env.ACME_KEY }}"}}', 3, r"write \{env: NAME\} or \{file: PATH\}"),
    ],
)
def test_mistakes_name_file_and_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, attributes: str, line: int, message: str
) -> None:
    monkeypatch.setenv("ACME_KEY", "sk-admin-secret")
    file = write(project, attributes)
    with pytest.raises(ConfigurationError, match=f"^{file}, line {line}: .*{message}") as raised:
        read_file(file)
    assert "sk-admin-secret" not in str(raised.value)


def test_path_without_or_with_several_components_is_refused(project: Path) -> None:
    with pytest.raises(ConfigurationError, match="contains no component"):
        find(project)
    with pytest.raises(ConfigurationError, match="cannot be read: No such file or directory"):
        find(project / "nowhere")
    first, second = write(project, _ORGANIZATIONS), write(project, _ORGANIZATIONS, name="second")
    with pytest.raises(ConfigurationError) as raised:
        find(project)
    assert f"contains 2 components: name one of {first}, {second}" in str(raised.value)
    assert find(second.parent) == find(second) == second


def test_file_may_contain_other_components_but_only_one_openai_costs_component(project: Path) -> None:
    file = write(project, _ORGANIZATIONS)
    ours = file.read_text()
    file.write_text(f"# a comment\ntype: dagster.DefsFolderComponent\n---\n{ours}  refresh: {{crons: x}}\n")
    with pytest.raises(ConfigurationError, match=f"^{file}, line 7: refresh.crons: "):
        read_file(find(project))
    file.write_text(f"{ours}---\n{ours}")
    with pytest.raises(ConfigurationError, match=f"{file} contains 2 components, in line 1 and line 5: move"):
        find(file)


def test_hidden_folders_and_invalid_files_of_other_components_are_skipped(project: Path) -> None:
    file = write(project, _ORGANIZATIONS)
    for folder in (".venv", "node_modules"):
        (project / folder).mkdir()
        (project / folder / "defs.yaml").write_text(file.read_text())
    (project / "src" / "host" / "defs" / "defs.yaml").write_text("type: another\nattributes: {{ broken }}\n")
    assert find(project) == file


def test_lines_of_an_organization_are_found_in_a_component(project: Path) -> None:
    file = write(project, "organizations:\n  acme:\n    admin_key: {env: KEY}\n  beta: {admin_key: {env: B}}")
    assert lines_of_organization(file, "acme") == [(4, "    acme:"), (5, "      admin_key: {env: KEY}")]
    settings = project / "openai_costs.yaml"
    settings.write_text(yaml.safe_dump({"organizations": {"acme": {"admin_key": {"env": "KEY"}}}}))
    file.write_text("type: openai_costs_dagster.OpenAICostsComponent\nattributes: {config: openai_costs.yaml}\n")
    assert [number for number, _ in lines_of_organization(file, "acme")] == [2, 3, 4]


def test_reading_a_component_file_does_not_import_dagster(project: Path) -> None:
    file = write(project, _ORGANIZATIONS + '\ndata_directory: "{{ env.HOME }}"')
    code = (
        "import sys, pathlib\nfrom openai_costs_dagster.configuration import component_file, read_file\n"
        f"read_file(component_file.find(pathlib.Path({str(file)!r})))\nsys.exit('dagster' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603
