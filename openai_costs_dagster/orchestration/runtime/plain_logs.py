"""Runs a module of Dagster with log lines that contain no color codes.

`python -m openai_costs_dagster.orchestration.runtime.plain_logs MODULE ARGUMENTS` equals `python -m MODULE ARGUMENTS`.
Dagster's log format for text colors every line, also in files and pipes, and no option of Dagster changes that.
`openai-costs up` starts Dagster's processes with this module, because their log lines never go to a terminal.
"""

from __future__ import annotations

import logging
import runpy
import sys
from typing import Any

import coloredlogs


class _PlainFormatter(logging.Formatter):
    """A formatter with the arguments of `coloredlogs.ColoredFormatter` that ignores all styles."""

    def __init__(self, fmt: str | None = None, datefmt: str | None = None, **_styles: Any) -> None:
        super().__init__(fmt, datefmt)


def main() -> None:
    """Run the module that the first argument names, with the other arguments."""
    # Dagster reads this name when it configures its loggers, which is after the replacement.
    coloredlogs.ColoredFormatter = _PlainFormatter
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
