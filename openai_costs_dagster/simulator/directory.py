"""The lists of projects, users, API keys, admin keys and spend alerts, which clients read with an `after` cursor.

A deleted or archived entry remains a valid cursor, so that a client that reads a changing list misses no entry. Times
are Unix seconds. Responses contain only the last characters of a key.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, time
from urllib.parse import unquote

from openai_costs_dagster.simulator.error_responses import (
    bad_parameter,
    no_spend_limit,
    project_archived,
    unknown_project,
)
from openai_costs_dagster.simulator.organization import SimulatedOrganization
from openai_costs_dagster.simulator.queries import (
    Query,
    check_names,
    read_array,
    read_choice,
    read_limit,
    read_scalar,
)
from openai_costs_dagster.simulator.workloads import ApiKey, Project, User

Entry = Mapping[str, object]
Directory = Callable[[SimulatedOrganization, Query, datetime], str]

_PROJECTS = "/organization/projects"
# The default and the maximum of the page size in the specification. The page size of these lists counts entries, while
# the page size of costs counts days.
_DEFAULT_LIMIT = 20
_MAX_ENTRIES = 100
_LIST_PARAMETERS = ("limit", "after")
_ACCESS = ("active", "inactive", "any")


def directory_at(path: str) -> Directory | None:
    """Return the function that lists the entries of a path such as ``/organization/users``.

    Return None if the path is not one of these lists.
    """
    if path in _DIRECTORIES:
        return _DIRECTORIES[path]
    parts = path.removeprefix(f"{_PROJECTS}/").split("/")
    if not path.startswith(f"{_PROJECTS}/") or not parts[0]:
        return None
    project_id, rest = unquote(parts[0]), parts[1:]
    if rest == ["api_keys"]:
        return lambda organization, query, now: _api_keys(organization, project_id, query, now)
    return None if rest else lambda organization, query, _: _project(organization, project_id, query)


def _projects(organization: SimulatedOrganization, query: Query, _: datetime) -> str:
    check_names(query, (*_LIST_PARAMETERS, "include_archived"))
    include_archived = read_choice(query, "include_archived", ("true", "false")) == "true"
    hidden = () if include_archived else organization.archived
    return _list(query, [_project_entry(organization, project) for project in organization.projects], hidden)


def _project(organization: SimulatedOrganization, project_id: str, query: Query) -> str:
    check_names(query, ())
    return json.dumps(_project_entry(organization, _find_project(organization, project_id)))


def _api_keys(organization: SimulatedOrganization, project_id: str, query: Query, now: datetime) -> str:
    check_names(query, (*_LIST_PARAMETERS, "owner_project_access"))
    project = _find_project(organization, project_id)
    if project_id in organization.archived:
        raise project_archived(project_id)
    # According to its documentation, the live API by default "may exclude some enabled keys". The simulator excludes
    # the keys of deleted users.
    access = read_choice(query, "owner_project_access", _ACCESS) or "active"
    entries = [_api_key_entry(organization, key, now) for key in organization.keys_of(project)]
    others = {entry["id"] for entry in entries if access not in ("any", entry["owner_project_access"])}
    return _list(query, entries, organization.deleted | others)


def _users(organization: SimulatedOrganization, query: Query, _: datetime) -> str:
    check_names(query, _LIST_PARAMETERS, ("emails",))
    emails = read_array(query, "emails")
    others = {user.id for user in organization.users if emails and user.email not in emails}
    entries = [
        {"object": "organization.user", **_person(organization, user), "added_at": _created_at(organization)}
        for user in organization.users
    ]
    return _list(query, entries, organization.deleted | others)


def _admin_api_keys(organization: SimulatedOrganization, query: Query, now: datetime) -> str:
    """Return the list of admin keys, which contains only the key in use."""
    check_names(query, (*_LIST_PARAMETERS, "order"))
    read_choice(query, "order", ("asc", "desc"))
    expires = organization.admin_key_expires
    entry = {
        "object": "organization.admin_api_key",
        "id": organization.admin_key_id,
        "name": "Costs (simulated)",
        "redacted_value": f"sk-admin...{organization.admin_key[-3:]}",
        "created_at": _created_at(organization),
        "expires_at": int(expires.timestamp()) if expires else None,
        "last_used_at": int(now.timestamp()),
        "owner": {
            "type": "service_account",
            "object": "organization.service_account",
            "id": "svc_acct_simulated_admin",
            "name": "Costs (simulated)",
            "created_at": _created_at(organization),
            "role": "owner",
        },
    }
    return _list(query, [entry], ())


def _spend_alerts(organization: SimulatedOrganization, query: Query, _: datetime) -> str:
    check_names(query, (*_LIST_PARAMETERS, "before", "order"))
    entries = [
        {
            "object": "organization.spend_alert",
            "id": f"alert_simulated_{number}",
            # According to the specification, spend alerts are in cents, while the amounts of costs are in dollars.
            "threshold_amount": cents,
            "currency": "USD",
            "interval": "month",
            "notification_channel": {
                "type": "email",
                "recipients": ["finance@simulated.example"],
                "subject_prefix": None,
            },
        }
        for number, cents in enumerate(organization.spend_alert_cents)
    ]
    return _list(query, entries, ())


def _spend_limit(organization: SimulatedOrganization, query: Query, _: datetime) -> str:
    """Return the hard spend limit of the organization.

    The specification does not describe the response without a limit. The simulator returns a 404.
    """
    check_names(query, ())
    if organization.spend_limit_cents is None:
        raise no_spend_limit()
    limit = {
        "object": "organization.spend_limit",
        "threshold_amount": organization.spend_limit_cents,
        "currency": "USD",
        "interval": "month",
        "enforcement": {"status": "inactive"},
    }
    return json.dumps(limit)


_DIRECTORIES: dict[str, Directory] = {
    "/organization/spend_alerts": _spend_alerts,
    "/organization/spend_limit": _spend_limit,
    _PROJECTS: _projects,
    "/organization/users": _users,
    "/organization/admin_api_keys": _admin_api_keys,
}


def _list(query: Query, entries: Sequence[Entry], hidden: Collection[object]) -> str:
    """Return one page of the entries that are not hidden.

    Raises `RefusalError` if the parameter `after` is not the id of an entry.
    """
    limit, after = read_limit(query, _DEFAULT_LIMIT, _MAX_ENTRIES), read_scalar(query, "after")
    identifiers = [entry["id"] for entry in entries]
    if after is not None and after not in identifiers:
        raise bad_parameter("after", f"Invalid 'after': no such object: '{after}'.")
    # Hidden entries also count as cursors, so that a client can continue after an entry that was hidden in the
    # meantime.
    remaining = entries if after is None else entries[identifiers.index(after) + 1 :]
    visible = [entry for entry in remaining if entry["id"] not in hidden]
    shown = visible[:limit]
    page = {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(visible) > limit,
    }
    return json.dumps(page)


def _find_project(organization: SimulatedOrganization, project_id: str) -> Project:
    for project in organization.projects:
        if project.id == project_id:
            return project
    raise unknown_project(project_id)


def _project_entry(organization: SimulatedOrganization, project: Project) -> Entry:
    archived = organization.archived.get(project.id)
    return {
        "id": project.id,
        "object": "organization.project",
        "name": project.name,
        "created_at": _created_at(organization),
        "archived_at": int(archived.timestamp()) if archived else None,
        "status": "archived" if archived else "active",
        "external_key_id": None,
    }


def _api_key_entry(organization: SimulatedOrganization, key: ApiKey, now: datetime) -> Entry:
    owner_deleted = key.user is not None and key.user.id in organization.deleted
    today = datetime.combine(now.date(), time(), UTC)
    return {
        "object": "organization.project.api_key",
        "id": key.id,
        "name": key.name,
        "redacted_value": f"sk-proj-...{key.id[-3:]}",
        "created_at": _created_at(organization),
        "last_used_at": int(today.timestamp()),
        "owner_project_access": "inactive" if owner_deleted else "active",
        "owner": _owner(organization, key),
    }


def _owner(organization: SimulatedOrganization, key: ApiKey) -> Entry:
    created = {"created_at": _created_at(organization)}
    if key.user is not None:
        return {"type": "user", "user": {**_person(organization, key.user), **created}}
    account = {"id": key.id.replace("key_", "svc_acct_", 1), "name": key.name, "role": "member", **created}
    return {"type": "service_account", "service_account": account}


def _person(organization: SimulatedOrganization, user: User) -> Entry:
    role = "owner" if user == organization.users[0] else "reader"
    return {"id": user.id, "name": user.name, "email": user.email, "role": role}


def _created_at(organization: SimulatedOrganization) -> int:
    """Return the creation time of all entries: midnight UTC of the first day of the organization."""
    return int(datetime.combine(organization.first_day, time(), UTC).timestamp())
