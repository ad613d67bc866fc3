"""Paths of the files that assets write for people and for other tools."""

from __future__ import annotations

from pathlib import Path

from openai_costs_dagster.configuration import Configuration

_REPORT_FILE = "openai-spend.html"


def report_path(configuration: Configuration) -> Path:
    """Return the path of the spend report that the asset `openai/spend_report` writes."""
    return exports_folder(configuration) / _REPORT_FILE


def delete_report(configuration: Configuration) -> None:
    """Delete the spend report, because it contains names of users.

    The asset writes a new report without the deleted names after the next refresh.
    """
    report_path(configuration).unlink(missing_ok=True)


def exported_files(configuration: Configuration) -> list[Path]:
    """Return the FOCUS files in the exports folder, sorted by name. A refresh does not rewrite files of old months."""
    return sorted(exports_folder(configuration).glob("openai-focus-*"))


def exports_folder(configuration: Configuration) -> Path:
    """Return the exports folder and create it if necessary, readable only by its owner because it contains bills."""
    return configuration.make_folder("exports")
