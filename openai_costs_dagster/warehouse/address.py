"""Parses addresses of PostgreSQL databases: URLs, also with several hosts or a Unix socket, and keyword=value strings.

PostgreSQL's client library libpq parses the addresses, so all parameters of libpq are supported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from openai_costs_dagster.redaction import redact
from openai_costs_dagster.user_input import env_variable
from openai_costs_dagster.warehouse import errors

CONNECTION_DEFAULTS: Mapping[str, str] = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""The values of connection parameters that the address does not set.

With these values, a connection that the network dropped is detected within a minute.
"""

_SECRETS = ("password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret")
# A password may contain an at sign. The expression therefore takes everything up to the last at sign as the password,
# because a part of the password would otherwise appear in messages.
_PASSWORD = re.compile(rf"(?<=://)([^:@/]*):.*@|\b((?:{'|'.join(_SECRETS)})=)[^&\s]+")
_SCHEME = "postgresql://"
_LONGEST_NAME = 63  # The maximum length of application_name in bytes. PostgreSQL cuts longer names.
_NAME_ENDS = 30  # The number of characters that remain of an application_name in the user's database address.


class Address:
    """The address of a PostgreSQL database, parsed by PostgreSQL's client library libpq."""

    def __init__(self, text: str) -> None:
        """Parse the address `text`. Raises `DatabaseRefused` if libpq cannot parse it."""
        self.text = normalized_url(text)
        self.parameters = self._parse()

    @property
    def safe(self) -> str:
        """The address without passwords, for messages."""
        if self._is_url:
            return _PASSWORD.sub(
                lambda found: f"{found[1]}:...@" if found[1] is not None else f"{found[2]}...", self.text
            )
        return make_conninfo("", **{name: "..." if name in _SECRETS else value for name, value in self._sorted()})

    def redacted(self, message: str) -> str:
        """Return a message of libpq or of the PostgreSQL server as one line, with all parts of passwords removed."""
        # If libpq cannot parse an address, its message may quote any part of the address. A password with special
        # characters may be quoted in parts, so each part of the password is removed.
        parts = {part for found in _PASSWORD.finditer(self.text) for part in re.split(r"[:@/%&=]", found[0])}
        parts |= {value for name, value in self.parameters.items() if name in _SECRETS}
        user = self.text.removeprefix(_SCHEME).split(":")[0]
        # Longer texts are replaced first. If a shorter text inside a longer one was replaced first, the rest of the
        # longer text would remain.
        return redact(message, sorted(parts - {user, *_SECRETS}, key=len, reverse=True))

    @property
    def _is_url(self) -> bool:
        return self.text.startswith(_SCHEME)

    def conninfo(self, name: str) -> str:
        """Return the connection string for psycopg. `name` becomes the session's application name.

        If the address itself contains an application name, the first 30 characters of it are put before `name`.
        """
        # The application name from the address is cut, so that PostgreSQL's limit of 63 bytes leaves space for `name`.
        # Messages about a held lock show `name`.
        given = self.parameters.get("application_name", "")[:_NAME_ENDS]
        own = {"client_encoding": "UTF8", "application_name": f"{given} {name}".strip()[:_LONGEST_NAME]}
        return make_conninfo("", **{**self._defaults(), **self.parameters, **own})

    def for_dagster(self) -> dict[str, str]:
        """Return the connection parameters for SQLAlchemy, with which Dagster connects.

        If the address has several hosts and one port, the port is repeated for each host, because SQLAlchemy requires
        one port per host.
        """
        found = {**self._defaults(), **self.parameters, "client_encoding": "UTF8"}
        hosts = found.get("host") or found.get("hostaddr", "")
        if "," in hosts and "port" in found and "," not in found["port"]:
            found["port"] = ",".join([found["port"]] * len(hosts.split(",")))
        if "," in found.get("port", ""):
            found["host"] = hosts
        return found

    def _defaults(self) -> dict[str, str]:
        found = dict(CONNECTION_DEFAULTS)
        # libpq prefers connection parameters to environment variables. If the user has set PGCONNECT_TIMEOUT, the
        # default parameter would override the user's value.
        if env_variable("PGCONNECT_TIMEOUT"):
            del found["connect_timeout"]
        return found

    def _sorted(self) -> list[tuple[str, str]]:
        return sorted(self.parameters.items())

    def _parse(self) -> dict[str, str]:
        try:
            return {name: str(value) for name, value in conninfo_to_dict(self.text).items()}
        except psycopg.ProgrammingError as error:
            reason = "it is no list of keyword=value pairs that libpq understands"
            if self._is_url:  # The message of libpq quotes the invalid text, so passwords are removed from the message.
                self.parameters = {}
                reason = self.redacted(str(error))
            raise errors.DatabaseRefused(f"the database URL cannot be read: {reason}") from None


def normalized_url(url: str) -> str:
    """Return an address in a form that PostgreSQL's client library libpq accepts.

    A URL for SQLAlchemy such as ``postgresql+psycopg://`` becomes ``postgresql://``. Raises `DatabaseRefused` if the
    text is neither a PostgreSQL URL nor a list of keyword=value pairs.
    """
    plain = re.sub(r"^postgres(ql)?(\+\w+)?://", _SCHEME, url.strip())
    # A URL may contain equals signs in its query part. A text is a list of keyword=value pairs only if there is no
    # "://" before its first equals sign.
    is_pairs = "://" not in plain.partition("=")[0] and re.match(r"\w+\s*=", plain)
    if not plain.startswith(_SCHEME) and not is_pairs:
        raise errors.DatabaseRefused(
            "the database URL must look like postgresql://user:password@host:5432/database; "
            "the configured value begins differently"
        )
    return plain
