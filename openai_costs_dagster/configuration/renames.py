"""Table of renamed settings and environment variables. A message with the new name refuses an old name."""

from __future__ import annotations

from openai_costs_dagster.user_input import env_variable

RENAMED_SETTINGS = {
    ("organizations", "names"): "read_names",
    ("organizations", "emails"): "store_emails",
    ("organizations", "owners"): "project_alert_urls",
    ("alerts", "severity"): "minimum_severity",
}
"""New names by section and old name, as in ``organizations.<name>.emails``."""

RENAMED_VARIABLES = {"OPENAI_COSTS_DAGSTER_URL": "OPENAI_COSTS_DAGSTER_DATABASE_URL"}
"""New names of environment variables by old name."""

_PATH_LENGTH = 3  # a path has three parts: the section, the organization's name or the alert's index, and the setting


def renamed_setting(path: tuple[str | int, ...]) -> str | None:
    """Return the message about a renamed setting, or None if the setting was not renamed."""
    if len(path) != _PATH_LENGTH:
        return None
    new = RENAMED_SETTINGS.get((str(path[0]), str(path[-1])))
    return f"{str(path[-1])!r} is now called {new!r}: rename it" if new else None


def renamed_variable() -> str | None:
    """Return the message about the first renamed environment variable that is still set, or None."""
    for old, new in RENAMED_VARIABLES.items():
        if env_variable(old):
            return f"the environment variable {old} is now called {new}: rename or unset it"
    return None
