"""Addresses of PostgreSQL as people write them: URLs of every driver, several hosts, sockets, keyword/value strings.

libpq itself reads them, so every parameter that libpq knows is understood and passed on.
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
"""Applied where the address does not set them: a network that drops idle connections is noticed within a minute."""

_SECRETS = ("password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret")
_PASSWORD = re.compile(rf"(?<=://)([^:@/]*):.*@|\b((?:{'|'.join(_SECRETS)})=)[^&\s]+")
_SCHEME = "postgresql://"
_LONGEST_NAME = 63  # bytes of an application_name
_NAME_ENDS = 30  # characters kept of the user's own application_name


class Address:
    """Where a database is, as libpq understands it."""

    def __init__(self, text: str) -> None:
        """Raises DatabaseRefused for anything that libpq cannot read."""
        self.text = normalised_url(text)
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
        """A message of libpq or the server on one line, without any part of a password."""
        parts = {part for found in _PASSWORD.finditer(self.text) for part in re.split(r"[:@/%&=]", found[0])}
        parts |= {value for name, value in self.parameters.items() if name in _SECRETS}
        user = self.text.removeprefix(_SCHEME).split(":")[0]
        return redact(message, sorted(parts - {user, *_SECRETS}, key=len, reverse=True))

    @property
    def _is_url(self) -> bool:
        return self.text.startswith(_SCHEME)

    def conninfo(self, name: str) -> str:
        """What psycopg connects with. A name given in the address stays the beginning of the session's name."""
        given = self.parameters.get("application_name", "")[:_NAME_ENDS]
        own = {"client_encoding": "UTF8", "application_name": f"{given} {name}".strip()[:_LONGEST_NAME]}
        return make_conninfo("", **{**self._defaults(), **self.parameters, **own})

    def for_dagster(self) -> dict[str, str]:
        """The parameters for SQLAlchemy, which wants as many ports as hosts where libpq is content with one."""
        found = {**self._defaults(), **self.parameters, "client_encoding": "UTF8"}
        hosts = found.get("host") or found.get("hostaddr", "")
        if "," in hosts and "port" in found and "," not in found["port"]:
            found["port"] = ",".join([found["port"]] * len(hosts.split(",")))
        if "," in found.get("port", ""):
            found["host"] = hosts
        return found

    def _defaults(self) -> dict[str, str]:
        found = dict(CONNECTION_DEFAULTS)
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
            if self._is_url:  # libpq repeats what it cannot read, which in the other form may be a password
                self.parameters = {}
                reason = self.redacted(str(error))
            raise errors.DatabaseRefused(f"the database URL cannot be read: {reason}") from None


def normalised_url(url: str) -> str:
    """The address as libpq reads it: SQLAlchemy's drivers and the old ``postgres://`` are understood too.

    Raises DatabaseRefused for anything that is neither a PostgreSQL URL nor keyword=value pairs.
    """
    plain = re.sub(r"^postgres(ql)?(\+\w+)?://", _SCHEME, url.strip())
    is_pairs = "://" not in plain.partition("=")[0] and re.match(r"\w+\s*=", plain)
    if not plain.startswith(_SCHEME) and not is_pairs:
        raise errors.DatabaseRefused(
            "the database URL must look like postgresql://user:password@host:5432/database; "
            "what stands there now begins otherwise"
        )
    return plain
