"""`openai-costs demo`: a backfill, a refresh and Dagster's UI on simulated organizations, in a separate folder."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from openai_costs_dagster.configuration import SIMULATED_MARKER
from openai_costs_dagster.days import ONE_DAY, RECENT_DAYS, first_recent_day, utc_now
from openai_costs_dagster.private_files import make_data_directory

if TYPE_CHECKING:
    from openai_costs_dagster.cli.session import Session
    from openai_costs_dagster.cli.webserver_address import WebserverAddress
    from openai_costs_dagster.simulator import SimulatedOrganization

FOLDER = ".openai-costs-demo"
HISTORY_DAYS = 90
_STATE_FILE = "up.json"
_USER_VARIABLES = (
    *("OPENAI_ADMIN_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_COSTS_CONFIG", "DATABASE_URL", "DAGSTER_HOME"),
    *(name for proxy in ("http_proxy", "https_proxy", "all_proxy") for name in (proxy, proxy.upper())),
)


@click.command()
@click.option("--once", is_flag=True, help="Exit after the report instead of serving Dagster's UI.")
@click.option("--port", type=int, help="Port of the UI; default: 3000, or a free port.")
@click.pass_context
def demo(context: click.Context, once: bool, port: int | None) -> None:
    """Show the product on simulated organizations: 90 days of costs, an anomaly, alerts, a report and Dagster's UI.

    Ignores your configuration and environment. All files are in .openai-costs-demo, which is recreated at each start.
    """
    from openai_costs_dagster.cli.webserver_address import choose_address
    from openai_costs_dagster.simulator import Simulator, demo_organizations
    from openai_costs_dagster.simulator.webhook import receiver

    # A variable of the user could connect the demo to a real organization or to a real database.
    for name in _USER_VARIABLES:
        os.environ.pop(name, None)
    folder = Path.cwd() / FOLDER
    _stop_earlier_demo(folder)
    address = None if once else choose_address(port=port)
    _recreate(folder)
    today = utc_now().date()
    organizations = demo_organizations(today)
    _plant_anomaly(organizations, today)
    with Simulator(organizations) as simulator, receiver() as (webhook_url, received), _database_of(folder):
        _configure(folder, simulator.base_url, webhook_url, organizations, today, address)
        session = _load_history(folder, today)
        _deliver_alerts(session, received)
        _write_report(session, folder)
        if address:
            _serve(session, folder, address, context.obj)


def _load_history(folder: Path, today: dt.date) -> Session:
    from openai_costs_dagster.cli.backfill import run_backfill, run_tasks
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.configuration import read_file
    from openai_costs_dagster.orchestration.runs.scheduled_refresh import scheduled_tasks

    configuration = read_file(folder / "openai_costs.yaml")
    os.environ["OPENAI_COSTS_CONFIG"] = str(configuration.source)
    _title("Simulated organizations, an embedded PostgreSQL and Dagster's history are in " + FOLDER)
    session = open_session(configuration)
    _title(f"Backfill of {HISTORY_DAYS} days, up to the day before yesterday")
    # Backfills never send alerts, so the day with the planted anomaly is left to the scheduled refresh.
    run_backfill(session, list(configuration.organizations.values()), None, today - 2 * ONE_DAY)
    _title("Scheduled refresh: the runs that Dagster's automation conditions request at the daily tick")
    tasks = scheduled_tasks(configuration, session.environment, utc_now())
    run_tasks(session, tasks, "refresh")
    _print_findings(session)
    return session


def _print_findings(session: Session) -> None:
    from openai_costs_dagster.cli.console import Column, show_table
    from openai_costs_dagster.cli.status import print_overviews
    from openai_costs_dagster.monitoring.status import overviews
    from openai_costs_dagster.spend.money import signed_dollars
    from openai_costs_dagster.warehouse import anomalies

    now, configuration = utc_now(), session.configuration
    with session.database.connect() as connection:
        rows = [
            (finding.organization, str(finding.usage_date), signed_dollars(finding.impact), finding.explanation)
            for finding in anomalies.findings(connection, first=first_recent_day(now.date()), only_open=True)
        ]
    _title(
        f"Open anomalies of the last {RECENT_DAYS} days, found by the check anomalous_spend (all data are simulated)"
    )
    show_table(
        (Column("organization"), Column("day"), Column("impact", right=True), Column("explanation", wraps=True)), rows
    )
    _title("Status of each organization")
    print_overviews(overviews(configuration, session.database, now))


def _deliver_alerts(session: Session, received: list[dict[str, Any]]) -> None:
    """Route and deliver alerts once, as the alert sensor does every few seconds."""
    from openai_costs_dagster.alerts import delivery
    from openai_costs_dagster.alerts.routing import routes
    from openai_costs_dagster.cli.console import print_line

    now, channels = utc_now(), routes(session.configuration)
    # The demo does not wait for further findings of the same cause.
    delivery.route(session.database, channels, now, dt.timedelta(0))
    delivery.deliver(session.database, channels, None, utc_now, now + dt.timedelta(minutes=1))
    _title("Alerts that the demo's webhook received")
    for message in received:
        print_line(f"[{message['severity']}] {message['title']}")
        for alert in message["alerts"]:
            print_line(f"  {alert['message']}")


def _write_report(session: Session, folder: Path) -> None:
    from openai_costs_dagster.cli.report import DEFAULT_FILE
    from openai_costs_dagster.report.page import write_report

    written = write_report(folder / DEFAULT_FILE, session.configuration, session.database, utc_now())
    _title("Spend report: open it in a browser")
    click.echo(written.path.as_uri())


def _serve(session: Session, folder: Path, address: WebserverAddress, log_format: str) -> None:
    from openai_costs_dagster.cli.dagster_dev import DagsterDev
    from openai_costs_dagster.warehouse import embedded

    server = DagsterDev(folder / _STATE_FILE, address)
    try:
        server.start(
            session.environment,
            database=session.database,
            restart_database=partial(embedded.start, folder),
            log_format=log_format,
            log_file=session.log_file,
        )
        _title(f"Dagster's UI: {address.url}/asset-groups - Ctrl-C ends the demo")
        server.supervise()
    except KeyboardInterrupt:
        click.echo("\nending the demo")
    finally:
        server.stop()


def _stop_earlier_demo(folder: Path) -> None:
    """Stop the processes of an earlier demo, which would continue to write into the deleted folder and use its port.

    Raises `InputMistake` if the folder was not created by the demo.
    """
    from openai_costs_dagster.cli.dagster_dev import stop_recorded_processes
    from openai_costs_dagster.cli.errors import InputMistake
    from openai_costs_dagster.warehouse import embedded

    if folder.exists():
        if not (folder / SIMULATED_MARKER).exists():
            raise InputMistake(f"{folder} exists and was not created by the demo: move or rename it")
        stop_recorded_processes(folder / _STATE_FILE)
        embedded.stop(folder)


def _recreate(folder: Path) -> None:
    """Create an empty folder, which replaces the folder of an earlier demo."""
    if folder.exists():
        shutil.rmtree(folder)
    make_data_directory(folder)
    (folder / SIMULATED_MARKER).write_text(
        "All data in this folder are simulated. openai-costs demo recreates the folder.\n", encoding="utf-8"
    )


def _plant_anomaly(organizations: list[SimulatedOrganization], today: dt.date) -> None:
    """Multiply yesterday's spend of one project, so that the refresh finds an anomaly."""
    shop = organizations[1]
    yesterday = today - ONE_DAY
    largest = max(shop.facts(yesterday), key=lambda fact: fact.amount or 0)
    shop.plant_anomaly(yesterday, 9, project_id=largest.project_id, model=largest.model)


@contextmanager
def _database_of(folder: Path) -> Iterator[None]:
    from openai_costs_dagster.warehouse import embedded

    try:
        yield
    finally:
        embedded.stop(folder)


def _configure(
    folder: Path,
    base_url: str,
    webhook_url: str,
    organizations: list[SimulatedOrganization],
    today: dt.date,
    address: WebserverAddress | None,
) -> None:
    _write_secret(folder / "webhook.url", webhook_url)
    _write_secret(folder / "webhook.secret", "whsec_c2ltdWxhdGVk")
    lines = [
        "# Written by openai-costs demo; all organizations are simulated.",
        "data_directory: .",
        *([f"dagster_url: {address.url}"] if address else []),
        "alerts:",
        "  - {webhook: {file: webhook.url}, secret: {file: webhook.secret}, name: the demo's webhook}",
        "organizations:",
    ]
    for organization in organizations:
        name = f"{organization.name.split()[0].lower()}-simulated"
        key = folder / f"{name}.key"
        _write_secret(key, organization.admin_key)
        lines += [
            f"  {name}:",
            f"    display_name: {organization.name}",
            f"    admin_key: {{file: {key.name}}}",
            f"    organization_id: {organization.organization_id}",
            f"    base_url: {base_url}",
            f"    start_date: {today - HISTORY_DAYS * ONE_DAY}",
            f"    budgets: [{{amount_usd: {_budget(organization, today)}, period: month}}]",
        ]
    (folder / "openai_costs.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_secret(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)


def _budget(organization: SimulatedOrganization, today: dt.date) -> int:
    """Return the spend of the last four weeks scaled to a month, rounded up to hundreds of US dollars."""
    # Yesterday is left out, because the planted anomaly would raise the budget.
    days = [today - number * ONE_DAY for number in range(2, 30)]
    spent = sum(float(fact.amount or 0) for day in days for fact in organization.facts(day))
    return round(spent / 28 * 30.4 / 100 + 0.5) * 100


def _title(text: str) -> None:
    click.secho(f"\n{text}", bold=True)
