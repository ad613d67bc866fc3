"""Write an SBOM of the dependencies, and check them for known vulnerabilities.

Run `python .ci/supply_chain.py [--out sbom.json]` after .venv has been created. The exit code is 1 if a pinned package
has a known vulnerability. If the package index or the advisory service is not available, the script prints a warning
and succeeds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.own_environment import OwnEnvironment  # noqa: E402  # from the checkout of this script

CHART_JS = ROOT / "openai_costs_dagster" / "report" / "vendor" / "chart.umd.js"
TOOLS = ("cyclonedx-bom==7.5.0", "pip-audit==2.10.1")


def main() -> None:
    """Write the SBOM, then check the pinned packages for vulnerabilities."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "sbom.json")
    out = parser.parse_args().out
    tools = OwnEnvironment(ROOT / ".venv-audit", TOOLS).python(without="THE SUPPLY CHAIN WAS NOT CHECKED")
    if tools is None:
        return
    folder = Path(tools).parent
    subprocess.run(  # the programs that the tools installed
        [folder / "cyclonedx-py", "environment", ROOT / ".venv", "--pyproject", ROOT / "pyproject.toml", "-o", out],
        check=True,
    )
    version = _add_vendored_chart_js(out)
    print(f"{out}: CycloneDX SBOM of the installed packages and of the vendored Chart.js {version}")
    print(f"vendored Chart.js {version} is not audited: see https://osv.dev/list?ecosystem=npm&q=chart.js")
    _report_vulnerabilities(folder / "pip-audit")


def _add_vendored_chart_js(sbom: Path) -> str:
    """Add the vendored Chart.js to the SBOM and return its version. Environment scanners see Python packages only."""
    header = CHART_JS.read_text(encoding="utf-8")[:200]
    version = header.partition("Chart.js v")[2].split()[0]
    document = json.loads(sbom.read_text(encoding="utf-8"))
    purl = f"pkg:npm/chart.js@{version}"
    document.setdefault("components", []).append(
        {
            "type": "library",
            "bom-ref": purl,
            "name": "chart.js",
            "version": version,
            "purl": purl,
            "licenses": [{"license": {"id": "MIT"}}],
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(CHART_JS.read_bytes()).hexdigest()}],
        }
    )
    sbom.write_text(json.dumps(document, indent=2), encoding="utf-8")
    return version


def _report_vulnerabilities(program: Path) -> None:
    """Print known vulnerabilities of the pinned packages, and a warning for packages that could not be checked."""
    audit = subprocess.run(
        [program, "--requirement", ROOT / "constraints.txt", "--no-deps", "--disable-pip", "--format", "json"],
        check=False,
        capture_output=True,
        text=True,
    )
    try:
        packages = json.loads(audit.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (audit.stderr.strip().splitlines() or ["no reason given"])[-1]
        print(f"\n*** VULNERABILITIES WERE NOT CHECKED: {last}\n", file=sys.stderr)
        return
    unknown = [one["name"] for one in packages if "skip_reason" in one]
    if unknown:
        print(
            f"\n*** {len(unknown)} OF {len(packages)} PACKAGES WERE NOT CHECKED: {', '.join(unknown[:5])} ...\n",
            file=sys.stderr,
        )
    known = [(one["name"], one["version"], flaw["id"]) for one in packages for flaw in one.get("vulns", [])]
    for name, version, flaw in known:
        print(f"{name} {version}: {flaw}")
    print(f"{len(packages) - len(unknown)} packages checked, {len(known)} known vulnerabilities")
    if known:
        sys.exit(1)


if __name__ == "__main__":
    main()
