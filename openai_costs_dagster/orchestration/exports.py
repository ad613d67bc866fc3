"""Where the files lie that assets write for other tools and people."""

from __future__ import annotations

from pathlib import Path

from openai_costs_dagster.configuration import Configuration


def exports_folder(configuration: Configuration) -> Path:
    """The folder, made where it is not there; for the user alone, since bills lie in it."""
    folder = configuration.data_directory / "exports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
