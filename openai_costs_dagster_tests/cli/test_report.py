"""Tests of `report`, which writes one HTML page. The tests in browser/ check the contents of the page."""

from __future__ import annotations

from ..loaded import Loaded


def test_default_file_is_in_the_working_directory(loaded: Loaded) -> None:
    finished = loaded.place.run("report")
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.startswith("openai-spend.html: 0.")
    assert (loaded.place.folder / "openai-spend.html").read_text().startswith("<!doctype html>")


def test_unwritable_report_path_is_reported(loaded: Loaded) -> None:
    finished = loaded.place.run("report", "--out", "nowhere/page.html")
    assert (finished.code, finished.out) == (2, "")
    assert finished.err == "openai-costs: nowhere/page.html cannot be written: No such file or directory\n"
