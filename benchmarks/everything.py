"""`make bench`: runs the benchmarks of loading, detection, forecasts and scale.

`python -m benchmarks.everything [--write]`; `--write` replaces the four pages in docs/.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

_MODULES = ("benchmarks", "benchmarks.detection", "benchmarks.forecast", "benchmarks.scale")


def main() -> None:
    """Run all benchmarks. Exits with status 1 if one of them failed, after all have run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.everything", description=__doc__)
    parser.add_argument("--write", action="store_true", help="replace their pages in docs/")
    options = ["--write"] if parser.parse_args().write else []
    failed = []
    for module in _MODULES:
        print(f"\n=== python -m {module}", flush=True)
        if subprocess.run([sys.executable, "-m", module, *options], check=False).returncode:
            failed.append(module)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
