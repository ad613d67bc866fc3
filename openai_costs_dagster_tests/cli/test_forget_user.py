"""Tests of `forget-user`, which deletes a person's name and email address and keeps all amounts."""

from __future__ import annotations

from ..loaded import Loaded
from .conftest import RunCommand


def test_unknown_user_is_refused(loaded: Loaded) -> None:
    finished = loaded.place.run("forget-user", "user-nobody")
    assert finished.code == 2
    assert "there is no user 'user-nobody'" in finished.err


def test_person_is_forgotten_by_address_and_amounts_stay(loaded: Loaded) -> None:
    place = loaded.place
    (user_id, address) = place.sql(
        "select id, email from openai_costs.directory where kind = 'user' and email is not null limit 1"
    )[0]
    before = place.sql("select sum(amount) from openai_costs.allocated_costs where user_id = %s", user_id)
    page = place.data / "exports" / "openai-spend.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text(f"what {address} spent")
    finished = place.run("forget-user", address)
    assert finished.code == 0, finished.output
    assert not page.exists()
    assert f"{user_id} is forgotten" in finished.out
    assert place.sql("select count(*) from openai_costs.directory_names where id = %s", user_id) == [(0,)]
    assert place.sql("select sum(amount) from openai_costs.allocated_costs where user_id = %s", user_id) == before
    assert address not in finished.out


def test_forget_user_needs_a_user(run_command: RunCommand) -> None:
    finished = run_command("forget-user")
    assert finished.code == 2
