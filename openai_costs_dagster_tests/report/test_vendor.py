"""Tests of the third-party JavaScript files in the package."""

from __future__ import annotations

import hashlib
import re
from importlib import resources

VENDOR = resources.files("openai_costs_dagster.report").joinpath("vendor")


def checksums() -> dict[str, str]:
    """Return the SHA-256 checksum of each file that SHA256SUMS lists."""
    lines = VENDOR.joinpath("SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {name: checksum for checksum, name in (line.split() for line in lines)}


def test_vendored_files_match_their_checksums() -> None:
    actual = {name: hashlib.sha256(VENDOR.joinpath(name).read_bytes()).hexdigest() for name in checksums()}
    assert actual == checksums()


def test_every_vendored_file_has_a_checksum() -> None:
    files = {file.name for file in VENDOR.iterdir() if file.is_file()}
    assert files - {"README.md", "SHA256SUMS"} == set(checksums())


def test_readme_names_the_vendored_version() -> None:
    header = VENDOR.joinpath("chart.umd.js").read_text(encoding="utf-8")[:200]
    version = re.search(r"Chart\.js v([0-9.]+)", header)
    assert version
    assert f"| {version[1]} |" in VENDOR.joinpath("README.md").read_text(encoding="utf-8")
