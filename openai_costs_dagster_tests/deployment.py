"""Parsers of the files in `deploy/`: compose.yaml, the Dockerfile and the Helm values."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[1] / "deploy"
IMAGE = "openai-costs-dagster"
SECRETS = "/run/secrets/openai-costs"
POSTGRES, PREPARE = "postgres", "prepare"

Service = dict[str, Any]


@cache
def document(name: str) -> dict[str, Any]:
    """Parse a YAML file, given by its path relative to `deploy/`."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return found


def services() -> dict[str, Service]:
    """Return all services of compose.yaml by name, in the order in which they can start."""
    found: dict[str, Service] = document("compose.yaml")["services"]
    return found


def ours() -> dict[str, Service]:
    """Return the services that run the image of this project."""
    return {name: service for name, service in services().items() if service["image"].startswith(f"{IMAGE}:")}


def by_default() -> dict[str, Service]:
    """Return the services of this project's image that belong to no profile and therefore start by default."""
    return {name: service for name, service in ours().items() if "profiles" not in service}


def secret_files(service: Service) -> dict[str, str]:
    """Return the path of each secret in the container of a service, by the name of the secret."""
    given = service.get("secrets", [])
    named = [
        secret if isinstance(secret, dict) else {"source": secret, "target": f"/run/secrets/{secret}"}
        for secret in given
    ]
    return {secret["source"]: secret["target"] for secret in named}


@cache
def dockerfile() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments. Continued lines are joined, comments removed."""
    text = re.sub(r"^\s*#.*\n", "", (FOLDER / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(word, " ".join(rest.split())) for line in lines if line.strip() for word, _, rest in [line.partition(" ")]]


def image_environment() -> dict[str, str]:
    """Return the environment variables that the Dockerfile sets."""
    given = " ".join(rest for word, rest in dockerfile() if word == "ENV")
    return dict(re.findall(r"(\w+)=(\S+)", given))
