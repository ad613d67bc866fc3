"""Where the files lie that assets write for other tools and people."""

from __future__ import annotations

from pathlib import Path

from openai_costs_dagster.configuration import Configuration

_PAGE = "openai-spend.html"


def report_path(configuration: Configuration) -> Path:
    """Where the asset puts the spend report."""
    return exports_folder(configuration) / _PAGE


def delete_report(configuration: Configuration) -> None:
    """Deletes the page, which holds names: the next reading of costs makes it anew, without what was forgotten."""
    report_path(configuration).unlink(missing_ok=True)


def exported_files(configuration: Configuration) -> list[Path]:
    """What was exported for other tools and is not made anew by itself."""
    return sorted(exports_folder(configuration).glob("openai-focus-*"))


def exports_folder(configuration: Configuration) -> Path:
    """The folder, made where it is not there; for the user alone, since bills lie in it."""
    return configuration.make_folder("exports", 0o700)
