from collections.abc import Callable, Iterator
from typing import Any

import pytest

from openai_costs_dagster.alerts.routing import Route, routes
from openai_costs_dagster.configuration import Alert, Configuration, Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.warehouse.outbox import Alert as OutboxAlert

from .receiver import Receiver, receiving

SECRET = "a secret of the receiver's"

MakeRoute = Callable[..., Route]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def make_route(monkeypatch: pytest.MonkeyPatch) -> MakeRoute:
    """Return a function that creates a route to a test server.

    The route is a webhook by default and an Apprise channel with `service="json"`.
    """

    def make(receiver: Receiver, name: str = "hook", service: str = "webhook", **settings: Any) -> Route:
        variable = f"URL_OF_{name.upper()}"
        monkeypatch.setenv("SECRET_OF_HOOKS", SECRET)
        address = SecretReference(env=variable)
        if service == "webhook":
            monkeypatch.setenv(variable, receiver.url)
            alert = Alert(webhook=address, secret=SecretReference(env="SECRET_OF_HOOKS"), name=name, **settings)
        else:
            monkeypatch.setenv(variable, receiver.url.replace("http", service, 1))
            alert = Alert(url=address, name=name, **settings)
        (route,) = routes(configured(alert))
        return route

    return make


def configured(*alerts: Alert, **organization: Any) -> Configuration:
    acme = Organization(name="acme", admin_key=SecretReference(env="NO_KEY"), **organization)
    return Configuration(organizations={"acme": acme.model_dump(exclude={"name"})}, alerts=alerts)


def sample_alert(key: str = "one", **values: Any) -> OutboxAlert:
    given: dict[str, Any] = {
        "kind": "anomaly",
        "event": "opened",
        "severity": "medium",
        "title": "acme: unusual spend on 2026-02-02",
        "message": "Up $412 (+310 %) on proj_search.",
        "organization": "acme",
        "facts": [("Spent", "$545.00")],
        "page": "/assets/openai/acme/costs",
        **values,
    }
    return OutboxAlert(key, **given)
