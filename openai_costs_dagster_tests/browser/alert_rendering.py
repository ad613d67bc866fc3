"""Render an alert as chat services display it, with the title, text and chart of the payload that a channel sends."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from typing import Any
from urllib.parse import urlsplit

from openai_costs_dagster.alerts.channels import AppriseChannel
from openai_costs_dagster.alerts.message import Message
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.warehouse import outbox
from openai_costs_dagster.warehouse.database import Database

from ..alerts.receiver import receiving

_CHANNEL_VARIABLE = "PICTURES_ALERT_CHANNEL"
_LINK = re.compile(r"https?://\S+")
_PAGE = """<!doctype html>
<meta charset="utf-8">
<style>
  body { margin: 0; padding: 20px 24px; background: #fff; color: #1d1c1d; font: 15px/1.45 system-ui, sans-serif; }
  .message { display: grid; grid-template-columns: 40px 1fr; gap: 0 12px; max-width: 760px; }
  .avatar { width: 40px; height: 40px; border-radius: 6px; background: #1f5fbf; color: #fff; font-weight: 700;
    display: grid; place-items: center; }
  .sender { font-weight: 700; }
  .app { font-size: 11px; color: #616061; background: #e8e8e8; border-radius: 3px; padding: 1px 4px; margin: 0 6px; }
  .bar { border-left: 4px solid #b3261e; border-radius: 3px; padding-left: 12px; margin-top: 6px; }
  h1 { font-size: 15px; margin: 0 0 4px; }
  p { margin: 0; white-space: pre-line; overflow-wrap: anywhere; }
  a { color: #1264a3; }
  img { display: block; margin-top: 10px; max-width: 100%; border: 1px solid #ddd; border-radius: 6px; }
</style>
"""


def alert_payload(database: Database, dagster_url: str) -> dict[str, Any]:
    """Send the most severe alert with a chart to a local receiver and return the received JSON document.

    The receiver is an Apprise channel of type `json`. All Apprise channels receive the same title, text and chart.
    """
    with database.connect() as connection:
        ids = connection.execute(
            "select alert_id from openai_costs.outbox where chart is not null"
            " order by array_position(array['high', 'medium', 'low'], severity), alert_id limit 1"
        ).fetchone()
        assert ids, "the demo stored no alert with a chart"
        alerts = outbox.alerts(connection, list(ids))
    with receiving() as receiver:
        address = urlsplit(receiver.url)
        os.environ[_CHANNEL_VARIABLE] = f"json://{address.netloc}{address.path}"
        AppriseChannel(SecretReference(env=_CHANNEL_VARIABLE)).send(Message("picture", alerts, dagster_url), utc_now())
        payload: dict[str, Any] = json.loads(receiver.received[0].body)
    return payload


def alert_page(payload: dict[str, Any]) -> str:
    """Return an HTML page that shows a payload as a chat message."""
    text = _LINK.sub(lambda link: f'<a href="#">{link[0]}</a>', html.escape(payload["message"]))
    images = "".join(
        f'<img alt="" src="data:{attachment["mimetype"]};base64,{attachment["base64"]}">'
        for attachment in payload["attachments"]
        if base64.b64decode(attachment["base64"], validate=True)
    )
    return (
        f'{_PAGE}<div class="message"><div class="avatar">OC</div><div>'
        f'<span class="sender">openai-costs</span><span class="app">APP</span>'
        f'<div class="bar"><h1>{html.escape(payload["title"])}</h1><p>{text}</p></div>{images}</div></div>'
    )
