"""The paths of the files that the assets `spend_report` and `focus_export` write."""

from __future__ import annotations

from pathlib import Path

from openai_costs_dagster.configuration import Configuration

_REPORT_FILE = "openai-spend.html"


def report_path(configuration: Configuration) -> Path:
    """Return the path of the HTML page that the asset `openai/spend_report` writes."""
    return exports_folder(configuration) / _REPORT_FILE


def delete_report(configuration: Configuration) -> None:
    """Delete the spend report after `forget-user` or `remove`, because the page contains the deleted names.

    After the next refresh, the asset `openai/spend_report` writes a new report without these names.
    """
    report_path(configuration).unlink(missing_ok=True)


def exported_files(configuration: Configuration) -> list[Path]:
    """Return the FOCUS files in the exports folder, sorted by name.

    A refresh does not write the files of old months again, so they may still contain a removed organization.
    """
    return sorted(exports_folder(configuration).glob("openai-focus-*"))


def exports_folder(configuration: Configuration) -> Path:
    """Return the folder for FOCUS files, and create it if necessary.

    Only the owner of the folder can read it, because the files contain bills.
    """
    return configuration.make_folder("exports")
