"""Runs the simulator with the organizations of the demo: `python -m openai_costs_dagster.simulator --port N`."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from openai_costs_dagster.simulator.organization import demo_organizations
from openai_costs_dagster.simulator.server import Simulator, utc_now


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve on 127.0.0.1 until SIGINT or SIGTERM arrives. Print the base URL and one line per organization."""
    parser = argparse.ArgumentParser(prog="python -m openai_costs_dagster.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any free port)")
    options = parser.parse_args(arguments)
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    with Simulator(demo_organizations(utc_now().date()), port=options.port) as simulator:
        # The printed keys are not secrets, because only this simulator accepts them.
        lines = [f"{found.admin_key}  {found.organization_id}  {found.name}\n" for found in simulator.organizations]
        sys.stdout.write(f"{simulator.base_url}\n{''.join(lines)}")
        sys.stdout.flush()
        interrupted.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
