"""What can go wrong between us and Postgres.

WarehouseError
├── DatabaseUnavailable   transient: no server answers, or it went away
├── DatabaseRefused       permanent: the server answered, and refuses us
├── DatabaseTooOld        permanent: the server is older than PostgreSQL 15
├── SchemaNewer           permanent: a newer release of this program has migrated the schema
├── SharedOrganization    permanent: two configured names lead to one OpenAI organization
├── OrganizationChanged   permanent: a name's key leads to another OpenAI organization than before
├── ValueRefused          permanent: a value that PostgreSQL cannot hold; nothing of its window was kept
├── NotForgotten          permanent: a person's name or address is still stored after forget-user
└── LoadMismatch          transient: what was stored is not what was read; nothing was kept
"""

from __future__ import annotations

import psycopg

VALUE_ERRORS = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded)
"""PostgreSQL's refusals of a value. psycopg counts a value that is too large among the operational errors, but sending
it again changes nothing.
"""


class WarehouseError(Exception):
    """Base; the text is one sentence without passwords."""


class DatabaseUnavailable(WarehouseError):
    """No server answers, or it went away."""


class DatabaseRefused(WarehouseError):
    """The server answered and does not let us in or do our work."""


class DatabaseTooOld(WarehouseError):
    """The server lacks what the schema needs."""


class SchemaNewer(WarehouseError):
    """The schema was migrated by a newer release."""


class SharedOrganization(WarehouseError):
    """Two configured names lead to one OpenAI organization, which would count it double."""


class OrganizationChanged(WarehouseError):
    """A configured name now leads to another OpenAI organization."""


class ValueRefused(WarehouseError):
    """A value that PostgreSQL cannot hold; the transaction was rolled back."""


class NotForgotten(WarehouseError):
    """A name or an address of a person is still stored although it was deleted everywhere."""


class LoadMismatch(WarehouseError):
    """Stored rows or sums differ from what was read; the transaction was rolled back."""
