"""A web page of another origin that tries to control the UI of `openai-costs up` in a real browser."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from ..browser.chromium import chromium

REBOUND_HOST = "evil.example"
"""A host name that the browser resolves to this machine, as after DNS rebinding."""

_PAGE = """
<!doctype html><meta charset="utf-8"><body><script>
const url = URL, query = encodeURIComponent(MUTATION), body = JSON.stringify({query: MUTATION});
const result = async (action) => { try { return await action(); } catch (error) { return "blocked"; } };
const opened = (address) => new Promise((resolve) => {
  const socket = new WebSocket(address, "graphql-ws");
  socket.onopen = () => resolve("opened");
  socket.onerror = () => resolve("refused");
});
const loaded = (element) => new Promise((resolve) => {
  element.onload = element.onerror = () => resolve("done");
  document.body.append(element);
});
window.attacks = (async () => {
  const json = {method: "POST", headers: {"Content-Type": "application/json"}, body};
  const text = {method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain;application/json"}, body};
  await result(() => fetch(`${url}/graphql?query=${query}`, {mode: "no-cors"}));
  await result(() => fetch(`${url}/graphql`, text));
  await result(() => fetch(`${url}/graphql?query=${query}`, {method: "POST", mode: "no-cors", body: new FormData()}));
  await result(() => fetch(`${url}/graphql`, json));
  await loaded(Object.assign(new Image(), {src: `${url}/graphql?query=${query}`}));
  await loaded(Object.assign(document.createElement("script"), {src: `${url}/server_info`}));
  await loaded(Object.assign(document.createElement("iframe"), {src: `${url}/runs`}));
  const frame = Object.assign(document.createElement("iframe"), {name: "target"});
  document.body.append(frame);
  const form = Object.assign(document.createElement("form"),
    {method: "post", action: `${url}/graphql?query=${query}`, target: "target"});
  document.body.append(form);
  await new Promise((resolve) => { frame.onload = resolve; form.submit(); });
  return await opened(`${url.replace("http", "ws")}/graphql`);
})();
</script>
"""


class Outcome(NamedTuple):
    """The result of an attack.

    `statuses` holds the kind of each request with the status code of its response. `websocket` is "opened" or
    "refused". `rebound_status` is the status code for a foreign host name that resolves to 127.0.0.1.
    """

    statuses: set[tuple[str, int]]
    websocket: str
    rebound_status: int


def attack(url: str, port: int, mutation: str) -> Outcome:
    """Open a foreign web page in a browser. The page tries to send a mutation to the UI at `url` in many ways."""
    text = _PAGE.replace("URL, query", f"{json.dumps(url)}, query").replace("MUTATION", json.dumps(mutation))
    rules = f"--host-resolver-rules=MAP {REBOUND_HOST} 127.0.0.1"
    with _server(text.encode()) as foreign, chromium(rules) as browser:
        page = browser.new_page()
        statuses: set[tuple[str, int]] = set()
        page.on(
            "response",
            lambda response: (
                statuses.add((response.request.resource_type, response.status))
                if response.url.startswith(url)
                else None
            ),
        )
        page.goto(f"http://{REBOUND_HOST}:{foreign}/")
        websocket = str(page.evaluate("window.attacks"))
        rebound = browser.new_page().goto(f"http://{REBOUND_HOST}:{port}/graphql")
        assert rebound is not None
        return Outcome(statuses, websocket, rebound.status)


@contextmanager
def _server(content: bytes) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
