"""Defines the version number of the views and grants, so that an older release never replaces the views of a newer one.

After every change of a view, of a grant, or of the list of tables, add a line to `DIGESTS` with the next version
number. If this line is missing, the test `test_changed_views_need_a_new_version` fails and prints the line. If two
branches added the same version number, keep the line that was released, and add the digest of the merged views under
the next number.

A new version of a view must keep all existing columns in place and may only add columns at the end, because older
releases with the same schema still read the view. Any other change of a view needs a migration of the schema. Older
releases then refuse to use the database.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final

from openai_costs_dagster.warehouse.roles import grants
from openai_costs_dagster.warehouse.statements import views

DIGESTS: Final = {
    1: "e4deede21a7b2571",
    2: "10e2409639b7a4cb",
    3: "fae7a720ebaa6b68",
}
"""The first 16 hexadecimal digits of the SHA-256 of the views and grants, by version of the views and grants."""

CURRENT: Final = max(DIGESTS)


@cache
def digest() -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the views and grants in this package."""
    return hashlib.sha256("\0".join((*views(), grants())).encode()).hexdigest()[:16]


def parse(stored: str | None) -> int:
    """Return the version number of the views from the text `stored` in a database.

    Returns 0 if the database stores no version, or a digest, which development versions before 0.1.0 stored instead.
    """
    return int(stored) if stored and stored.isdecimal() else 0
