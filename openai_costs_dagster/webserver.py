"""Dagster's webserver behind a guard against requests of foreign web pages (docs/security.md).

`python -m openai_costs_dagster.webserver` takes the options of `dagster-webserver`. `openai-costs up` starts it.
"""

from __future__ import annotations

import sys
from typing import Any

from openai_costs_dagster.host_names import canonical_host
from openai_costs_dagster.user_input import env_variable

ALLOWED_HOSTS_VARIABLE = "OPENAI_COSTS_ALLOWED_HOSTS"
"""The environment variable with the host names by which browsers may reach the webserver, separated by commas.

The loopback names are always allowed.
"""

SERVER_ID_VARIABLE = "OPENAI_COSTS_WEBSERVER_ID"
SERVER_ID_HEADER = "X-OpenAI-Costs-Webserver"
"""The response header with the value of `SERVER_ID_VARIABLE`, by which `openai-costs up` recognizes its webserver."""


def main() -> None:
    """Run the webserver."""
    # `openai-costs up` imports this module only for its constants. An import of the webserver's packages at
    # the top of this module would load packages that the command does not use.
    from dagster_webserver import cli

    from openai_costs_dagster.orchestration.runtime.request_guard import RequestGuard

    hosts = [host for host in (env_variable(ALLOWED_HOSTS_VARIABLE) or "").split(",") if host.strip()]
    for host in hosts:
        if canonical_host(host) is None:
            sys.exit(f"{ALLOWED_HOSTS_VARIABLE} contains {host!r}, which is neither a host name nor an IP address")
    server_id = env_variable(SERVER_ID_VARIABLE)
    headers = {SERVER_ID_HEADER: server_id} if server_id else {}
    create_app = cli.create_app_from_workspace_process_context  # type: ignore[attr-defined]

    def create_guarded_app(*arguments: Any, **options: Any) -> RequestGuard:
        return RequestGuard(create_app(*arguments, **options), hosts, response_headers=headers)

    # The command `dagster-webserver` has no option for middleware. Replacing the function that creates the application
    # is the only way to check requests before Dagster's application receives them.
    cli.create_app_from_workspace_process_context = create_guarded_app  # type: ignore[attr-defined,assignment]
    cli.main()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
