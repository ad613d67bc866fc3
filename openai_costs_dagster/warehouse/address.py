"""Addresses of PostgreSQL: URLs of any driver, several hosts, Unix sockets, and keyword/value strings.

libpq parses the addresses, so that all of its parameters are supported.
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
"""Defaults for parameters that the address does not set. They detect a dropped connection within a minute."""

_SECRETS = ("password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret")
# A password may contain an at sign, so the greedy expression ends at the last at sign.
_PASSWORD = re.compile(rf"(?<=://)([^:@/]*):.*@|\b((?:{'|'.join(_SECRETS)})=)[^&\s]+")
_SCHEME = "postgresql://"
_LONGEST_NAME = 63  # The maximum length of application_name in bytes.
_NAME_ENDS = 30  # The number of characters that are used of the user's own application_name.


class Address:
    """The address of a database, as parsed by libpq."""

    def __init__(self, text: str) -> None:
        """Parse an address. Raises `DatabaseRefused` if libpq cannot parse it."""
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
        """Return a message of libpq or the server on one line, without any part of a password."""
        # libpq quotes single parts of an address that it cannot parse, so every part of the password is removed.
        parts = {part for found in _PASSWORD.finditer(self.text) for part in re.split(r"[:@/%&=]", found[0])}
        parts |= {value for name, value in self.parameters.items() if name in _SECRETS}
        user = self.text.removeprefix(_SCHEME).split(":")[0]
        # The longest text is replaced first, because a shorter one may be contained in it.
        return redact(message, sorted(parts - {user, *_SECRETS}, key=len, reverse=True))

    @property
    def _is_url(self) -> bool:
        return self.text.startswith(_SCHEME)

    def conninfo(self, name: str) -> str:
        """Return the connection string for psycopg.

        An application name in the address becomes the beginning of the session's application name.
        """
        # The user's own name is cut, because messages about a held lock need the name of this program, which follows
        # it.
        given = self.parameters.get("application_name", "")[:_NAME_ENDS]
        own = {"client_encoding": "UTF8", "application_name": f"{given} {name}".strip()[:_LONGEST_NAME]}
        return make_conninfo("", **{**self._defaults(), **self.parameters, **own})

    def for_dagster(self) -> dict[str, str]:
        """Return the parameters for SQLAlchemy, which requires one port per host. libpq accepts one for all hosts."""
        found = {**self._defaults(), **self.parameters, "client_encoding": "UTF8"}
        hosts = found.get("host") or found.get("hostaddr", "")
        if "," in hosts and "port" in found and "," not in found["port"]:
            found["port"] = ",".join([found["port"]] * len(hosts.split(",")))
        if "," in found.get("port", ""):
            found["host"] = hosts
        return found

    def _defaults(self) -> dict[str, str]:
        found = dict(CONNECTION_DEFAULTS)
        # libpq prefers parameters to environment variables, so this default would override the user's variable.
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
            if self._is_url:  # libpq quotes the invalid text, which may be a password.
                self.parameters = {}
                reason = self.redacted(str(error))
            raise errors.DatabaseRefused(f"the database URL cannot be read: {reason}") from None


def normalized_url(url: str) -> str:
    """Return the address in a form that libpq accepts, without the driver of SQLAlchemy and with ``postgresql://``.

    Raises `DatabaseRefused` if the text is neither a PostgreSQL URL nor keyword=value pairs.
    """
    plain = re.sub(r"^postgres(ql)?(\+\w+)?://", _SCHEME, url.strip())
    # A URL can contain an equals sign in its query, so only the text before the first one is examined.
    is_pairs = "://" not in plain.partition("=")[0] and re.match(r"\w+\s*=", plain)
    if not plain.startswith(_SCHEME) and not is_pairs:
        raise errors.DatabaseRefused(
            "the database URL must look like postgresql://user:password@host:5432/database; "
            "the configured value begins differently"
        )
    return plain
