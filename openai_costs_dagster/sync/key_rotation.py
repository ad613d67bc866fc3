"""The steps for rotating an organization's admin key, which alerts about the key contain."""

from __future__ import annotations

from openai_costs_dagster.configuration import Organization

ADMIN_KEYS_PAGE = "https://platform.openai.com/settings/organization/admin-keys"


def rotation_steps(organization: Organization) -> str:
    """Return the steps, in one sentence, with the variable or the file from which the key is read."""
    key = organization.admin_key
    if key.file:
        replacement = f"write it to the file {key.file}, which needs no restart"
    else:
        # A process keeps the environment with which it was started.
        replacement = f"set the environment variable {key.env} to it and restart openai-costs up or the code server"
    return (
        f"To rotate the key, create a new admin key at {ADMIN_KEYS_PAGE}, {replacement}, run openai-costs check "
        f"{organization.name}, and then delete the old key."
    )
