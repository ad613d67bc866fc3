"""The command `openai-costs`: one module per subcommand, named after it.

To add a subcommand, write a module with a click command, import it here and add it to the list below. `status.py`
prints the output of `openai-costs status`; `errors.py` maps exceptions to messages and exit codes.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

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
    readers,
    remove,
    report,
    roles,
    status,
    up,
)
from openai_costs_dagster.cli.logs import LOG_FORMATS, configure_logs

# Commands import Dagster and other large packages inside their functions, because `import dagster` alone takes half a
# second.
from openai_costs_dagster.display_text import printable
from openai_costs_dagster.private_files import keep_new_files_private
from openai_costs_dagster.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="openai-costs")
@click.option(
    "--log-format",
    type=click.Choice(LOG_FORMATS),
    default="text",
    show_default=True,
    help="Format of log lines on standard error; json writes one object per line.",
)
@click.option(
    "--defs",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Read the settings of the OpenAICostsComponent in this defs.yaml, or in a folder that contains one.",
)
@click.pass_context
def cli(context: click.Context, log_format: str, defs: Path | None) -> None:
    """Store the daily costs of OpenAI organizations in Postgres, detect anomalies and send alerts.

    The configuration is read from openai_costs.yaml in the working directory, from the file that OPENAI_COSTS_CONFIG
    names, or from OPENAI_ADMIN_KEY alone. With --defs, it is read from a component of a Dagster project.
    """
    context.obj = log_format
    configure_logs(log_format)
    if defs is not None:
        from openai_costs_dagster.configuration import component_file

        # Every command and every process that it starts reads the file that this variable names.
        os.environ["OPENAI_COSTS_CONFIG"] = str(component_file.find(defs).absolute())


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
    readers.readers,
    down.down,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line. Exits with 2 and a message for invalid input, with 1 and a message for a failure."""
    from openai_costs_dagster.cli.errors import EXIT_FAILURE, user_message

    keep_new_files_private()
    # Shells start background jobs with SIGINT ignored, so the handler of SIGINT is set as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        # In its standalone mode, click would end the process itself before `user_message` can choose the exit code.
        exit_code = cli.main(standalone_mode=False) or 0
        # A full disk must fail the command with a message. At its end, Python would only print a warning.
        sys.stdout.flush()
        sys.exit(exit_code)
    except BrokenPipeError:
        # The program that reads the output through a pipe has ended, for example `head`. A second attempt to write the
        # output, at the end of Python, would print a warning.
        _discard_unwritten_output()
        sys.exit(EXIT_FAILURE)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        # A command adds a note about its stored work to the exception. click wraps the exception, so the note is read
        # from the original.
        notes = getattr(error.__cause__ or error, "__notes__", [])
        click.echo("; ".join(["interrupted", *notes]), err=True)
        # Shells use the exit code 130 for a program that Ctrl-C ended.
        sys.exit(130)
    except Exception as error:
        message = user_message(error)
        if message is None:
            raise
        click.echo(f"openai-costs: {printable(message.text, lines=True)}", err=True)
        _discard_unwritten_output()
        sys.exit(message.exit_code)


def _discard_unwritten_output() -> None:
    """Redirect standard output to nothing if it cannot be written. At its end, Python would print a second error."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
