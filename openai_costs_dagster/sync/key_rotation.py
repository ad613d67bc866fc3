"""The instructions for rotating an organization's OpenAI admin key. Alerts about the admin key contain them."""

from __future__ import annotations

from openai_costs_dagster.configuration import Organization

ADMIN_KEYS_PAGE = "https://platform.openai.com/settings/organization/admin-keys"


def rotation_steps(organization: Organization) -> str:
    """Return the instructions for rotating an organization's admin key, in one sentence.

    The sentence names the environment variable or the file from which openai-costs reads the admin key.
    """
    key = organization.admin_key
    if key.file:
        replacement = f"write it to the file {key.file}, which needs no restart"
    else:
        # A running process does not notice a changed environment variable, so it has to be restarted.
        replacement = f"set the environment variable {key.env} to it and restart openai-costs up or the code server"
    return (
        f"To rotate the key, create a new admin key at {ADMIN_KEYS_PAGE}, {replacement}, run openai-costs check "
        f"{organization.name}, and then delete the old key."
    )
