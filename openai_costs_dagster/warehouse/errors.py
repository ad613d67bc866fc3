"""Errors of the warehouse.

WarehouseError
├── DatabaseUnavailable   transient: the server does not respond, or the connection was lost
├── DatabaseRefused       permanent: the server refuses the connection or the statement
├── DatabaseTooOld        permanent: the server is older than PostgreSQL 15
├── SchemaNewer           permanent: a newer release has migrated the schema
├── SharedOrganization    permanent: two configured names belong to one OpenAI organization
├── OrganizationChanged   permanent: the key of a name belongs to another OpenAI organization than before
├── ReaderRefused         permanent: a role cannot become a reader, because of its name or its privileges
├── ValueRefused          permanent: PostgreSQL cannot store a value; nothing of its window was stored
├── NotForgotten          permanent: a person's name or address is still stored after forget-user
├── LoadMismatch          transient: stored and fetched rows differ; nothing was stored
└── LeaseLost             transient: another process took over the organization; nothing was stored
"""

from __future__ import annotations

import psycopg

VALUE_ERRORS = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded)
"""Errors for values that PostgreSQL cannot store. `ProgramLimitExceeded` is an operational error in psycopg, but a
retry with the same value fails again.
"""


class WarehouseError(Exception):
    """The base class. The message is one sentence without passwords."""


class DatabaseUnavailable(WarehouseError):
    """The server does not respond, or the connection was lost."""


class DatabaseRefused(WarehouseError):
    """The server refuses the connection or a statement."""


class DatabaseTooOld(WarehouseError):
    """The version of the server is not supported."""


class SchemaNewer(WarehouseError):
    """The schema was migrated by a newer release."""


class SharedOrganization(WarehouseError):
    """Two configured names belong to one OpenAI organization, whose costs would be counted twice."""


class OrganizationChanged(WarehouseError):
    """The key of a configured name belongs to another OpenAI organization than before."""


class ReaderRefused(WarehouseError):
    """A role cannot become a reader, because of its name or its privileges."""


class ValueRefused(WarehouseError):
    """PostgreSQL cannot store a value. The transaction was rolled back."""


class NotForgotten(WarehouseError):
    """A name or an email address of a forgotten user is still stored."""


class LoadMismatch(WarehouseError):
    """Stored rows or sums differ from the fetched ones. The transaction was rolled back."""


class LeaseLost(WarehouseError):
    """The lease of this process expired, and another process may have taken it over. Nothing was stored."""
