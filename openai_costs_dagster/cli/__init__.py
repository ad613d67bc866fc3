"""The command line `openai-costs`: one module per command, each a thin hand over the rooms below."""

from __future__ import annotations

import signal
import sys

import click

from openai_costs_dagster.cli import (
    alerts,
    anomalies,
    backfill,
    backtest,
    check,
    demo,
    down,
    environment,
    execute,
    export,
    forget_user,
    prepare,
    remove,
    report,
    roles,
    status,
    up,
)
from openai_costs_dagster.cli.logs import LOG_FORMATS, configure_logs
from openai_costs_dagster.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="openai-costs")
@click.option(
    "--log-format",
    type=click.Choice(LOG_FORMATS),
    default="text",
    show_default=True,
    help="How log lines on standard error look; json is one object a line.",
)
@click.pass_context
def cli(context: click.Context, log_format: str) -> None:
    """Every OpenAI organization's daily bill in Postgres, exact to the last digit, watched by Dagster.

    The configuration is openai_costs.yaml in this directory (or the file that OPENAI_COSTS_CONFIG names), or
    OPENAI_ADMIN_KEY alone.
    """
    context.obj = log_format
    configure_logs(log_format)


for command in (
    demo.demo,
    check.check,
    backfill.backfill,
    up.up,
    status.status,
    anomalies.anomalies,
    alerts.alerts,
    backtest.backtest,
    export.export,
    report.report,
    remove.remove,
    forget_user.forget_user,
    environment.env,
    environment.database_url,
    execute.execute,
    prepare.prepare,
    roles.roles,
    down.down,
):
    cli.add_command(command)


def main() -> None:
    """The entry point. Mistakes of the input end with 2 and one sentence, failures with 1 and one sentence."""
    from openai_costs_dagster.cli.errors import user_message

    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores SIGINT unless told otherwise
        signal.signal(number, signal.default_int_handler)
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        # Only the command knows what it has done so far: it adds a note to the interruption, which click wraps.
        notes = getattr(error.__cause__ or error, "__notes__", [])
        click.echo("; ".join(["interrupted", *notes]), err=True)
        sys.exit(130)
    except Exception as error:
        said = user_message(error)
        if said is None:
            raise
        click.echo(f"openai-costs: {said.text}", err=True)
        sys.exit(said.exit_code)
