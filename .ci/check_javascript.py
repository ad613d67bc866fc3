"""Check the types of the spend report's JavaScript with TypeScript, if Node.js is installed.

`python .ci/check_javascript.py` runs as part of `make lint`. The check is optional: without Node.js, or if npm cannot
download TypeScript, the script prints the reason and succeeds. Users of the package never need Node.js.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

TYPESCRIPT = "typescript@5.9.3"
PAGE_PARTS = Path(__file__).resolve().parent.parent / "openai_costs_dagster" / "report" / "page_parts"


def main() -> int:
    """Return the exit code of the TypeScript compiler, or 0 if the check is skipped."""
    npx = shutil.which("npx")
    if npx is None:
        print("JavaScript types: skipped, because Node.js (npx) is not installed")
        return 0
    compiler = [npx, "--yes", "--package", TYPESCRIPT, "tsc"]
    # The first call downloads the compiler into npm's cache. Its failure is a missing network, not a type error.
    version = subprocess.run([*compiler, "--version"], check=False, capture_output=True, text=True)
    if version.returncode:
        reason = (version.stderr.strip().splitlines() or ["npx failed without a message"])[-1]
        print(f"JavaScript types: skipped, because {TYPESCRIPT} cannot be downloaded: {reason}")
        return 0
    print(f"JavaScript types: checking with TypeScript {version.stdout.strip().removeprefix('Version ')}", flush=True)
    return subprocess.run([*compiler, "--project", str(PAGE_PARTS)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
