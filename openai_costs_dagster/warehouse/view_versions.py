"""The version of the views and grants. The version only increases, so that an older release never replaces newer views.

After every change of a view, of a grant, or of the list of tables, add a line to `DIGESTS` with the next number. The
test `test_changed_views_need_a_new_version` fails without it and prints the line to add. After a merge of two branches
that added the same number, keep the released line and add the digest of the merged views under the next number.

Newer views keep every column of the older ones in place and add columns at the end only, because older releases that
know the same schema go on to read them. Any other change of a view needs a migration, and older releases refuse a
migrated schema.
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
    """The version that a database stores; 0 without one, and for digests that snapshots before 0.1.0 stored."""
    return int(stored) if stored and stored.isdecimal() else 0
