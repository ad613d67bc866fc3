"""Tests of the environment variables for the proxy and the certificates of webhooks."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from openai_costs_dagster.alerts.channels import AppriseChannel, Channel, NotDeliveredError, WebhookChannel
from openai_costs_dagster.alerts.message import Message
from openai_costs_dagster.configuration.secret import SecretReference

from .receiver import Receiver

_NOW = dt.datetime(2026, 3, 11, 14, 30, tzinfo=dt.UTC)
_MESSAGE = Message(key="key", alerts=())


@pytest.fixture(autouse=True)
def _addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AN_ADDRESS", "https://hooks.example/x")
    monkeypatch.setenv("A_SECRET", "a secret of the receiver's")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def _webhook() -> WebhookChannel:
    return WebhookChannel(SecretReference(env="AN_ADDRESS"), SecretReference(env="A_SECRET"))


def _apprise() -> AppriseChannel:
    return AppriseChannel(SecretReference(env="AN_ADDRESS"))


@pytest.mark.parametrize(
    ("channel", "variable"),
    [(_webhook(), "SSL_CERT_FILE"), (_webhook(), "SSL_CERT_DIR"), (_apprise(), "REQUESTS_CA_BUNDLE")],
)
def test_unusable_certificates_are_reported_with_the_name_of_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, channel: Channel, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "missing"))
    with pytest.raises(NotDeliveredError, match=f"^{variable} is set to .*missing, w") as raised:
        channel.send(_MESSAGE, _NOW)
    assert "hooks.example" not in str(raised.value)


def test_unusable_proxy_is_reported_with_the_name_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks://user:hunter22@proxy:1080")
    with pytest.raises(NotDeliveredError, match=r"^HTTPS_PROXY must begin with http://") as raised:
        _webhook().send(_MESSAGE, _NOW)
    assert "hunter22" not in str(raised.value)


def test_webhook_on_this_machine_ignores_proxies_and_certificates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, receiver: Receiver
) -> None:
    monkeypatch.setenv("AN_ADDRESS", receiver.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:9")
    _webhook().send(_MESSAGE, _NOW)
