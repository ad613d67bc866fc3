"""The errors that the package `warehouse` raises.

After a transient error, a later attempt may succeed by itself. After a permanent error, a person has to act first.

WarehouseError
├── DatabaseUnavailable   transient: the server does not respond, or the connection was lost
├── DatabaseRefused       permanent: the server refuses the connection or the statement
├── DatabaseTooOld        permanent: the server is older than PostgreSQL 15
├── SchemaNewer           permanent: a newer release has migrated the schema
├── SharedOrganization    permanent: two configured names belong to one OpenAI organization
├── OrganizationChanged   permanent: an admin key belongs to another OpenAI organization than before
├── ReaderRefused         permanent: a database role cannot get read access, because of its name or privileges
├── ValueRefused          permanent: PostgreSQL cannot store a value; the transaction was rolled back
├── NotForgotten          permanent: a person's name or address is still stored after openai-costs forget-user
├── LoadMismatch          transient: stored and fetched rows differ; nothing was stored
└── LeaseLost             transient: another process may hold the organization's lock by now; nothing was stored
"""

from __future__ import annotations

import psycopg

VALUE_ERRORS = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded)
"""The errors that psycopg raises for values that PostgreSQL cannot store.

psycopg derives `ProgramLimitExceeded` from `OperationalError`, like errors after which a retry may succeed. A retry
with the same value fails again, so this error is listed here.
"""


class WarehouseError(Exception):
    """The base class of all errors of the package `warehouse`. The message is one sentence without passwords."""


class DatabaseUnavailable(WarehouseError):
    """The PostgreSQL server does not respond, or the connection to it was lost."""


class DatabaseRefused(WarehouseError):
    """The PostgreSQL server refuses the connection or a statement."""


class DatabaseTooOld(WarehouseError):
    """The PostgreSQL server is older than the oldest supported version."""


class SchemaNewer(WarehouseError):
    """A newer release of openai-costs-dagster has migrated the schema, and this release does not know the schema."""


class SharedOrganization(WarehouseError):
    """Two configured names belong to one OpenAI organization, whose costs would be counted twice."""


class OrganizationChanged(WarehouseError):
    """The admin key of a configured name belongs to another OpenAI organization than before."""


class ReaderRefused(WarehouseError):
    """A database role cannot get read access to the views, because of the role's name or privileges."""


class ValueRefused(WarehouseError):
    """PostgreSQL cannot store a value, for example a text with a NUL character. The transaction was rolled back."""


class NotForgotten(WarehouseError):
    """A name or an email address of a forgotten user is still stored."""


class LoadMismatch(WarehouseError):
    """The stored rows or sums differ from the fetched rows or sums. The transaction was rolled back."""


class LeaseLost(WarehouseError):
    """The lease of this process expired, so another process may hold the lease now. Nothing was stored."""
