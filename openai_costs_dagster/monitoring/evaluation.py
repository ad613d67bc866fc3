"""Evaluation of stored days: find anomalies, evaluate budgets, store the results and record the alerts.

The checks of the costs assets use it. A run that fails for some days uses it for its other days as well: Dagster skips
the checks of a failed run, and the next run would treat the findings of these days as new.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.monitoring import incident_alerts
from openai_costs_dagster.monitoring.anomalies import evaluate_days
from openai_costs_dagster.monitoring.budgets import BudgetDay, evaluate_budgets, has_budgets
from openai_costs_dagster.monitoring.findings import DayEvaluation
from openai_costs_dagster.records import Trigger
from openai_costs_dagster.warehouse import anomalies
from openai_costs_dagster.warehouse.database import Connection


@dataclass(frozen=True)
class Evaluator:
    """An evaluation of one organization's days by one Dagster run."""

    organization: Organization
    configuration: Configuration
    run_id: str
    trigger: Trigger
    """The origin of the run. Only a scheduled run sends alerts."""
    now: dt.datetime
    """The current time in UTC."""

    def evaluate_anomalies(
        self, connection: Connection, days: Collection[dt.date], *, users: bool
    ) -> dict[dt.date, DayEvaluation]:
        """Evaluate days for anomalies, and store the findings and their alerts in one transaction."""
        name, trigger, now = self.organization.name, self.trigger, self.now
        evaluations = evaluate_days(connection, name, self.configuration.anomalies, days, users=users)
        found = [finding for evaluation in evaluations.values() for finding in evaluation.findings]
        minimum = self.configuration.anomalies.minimum_impact_usd
        # Findings and alerts share one transaction, because a crash between two transactions would leave a finding that
        # is never alerted.
        with connection.transaction():
            # `_is_first` also records this run as the first evaluation, so a rollback must undo this record together
            # with the findings.
            policy = incident_alerts.AlertPolicy(
                trigger, self._is_first(connection), self.configuration.refresh.trailing_days, now.date()
            )
            ids = anomalies.replace_findings(connection, name, days, found, trigger=trigger, now=now, users=users)
            findings = dict(zip(ids, found, strict=True))
            incident_alerts.record_alerts(
                connection, self.organization, evaluations, findings, policy, minimum, now, users=users
            )
        return evaluations

    def evaluate_budgets(
        self, connection: Connection, days: Collection[dt.date], *, allocated: bool
    ) -> dict[dt.date, list[BudgetDay]]:
        """Return the budgets of each day, and record crossings.

        A crossing is alerted only in a scheduled run on the trailing days, and never by the organization's first run:
        the first run reads history whose crossings are old.
        """
        refresh = self.configuration.refresh
        # The weekly refresh covers more days than the daily one, and a crossing on any of them is alerted.
        trailing = max(refresh.trailing_days, refresh.deep_trailing_days) * ONE_DAY
        may_alert = self.trigger == "schedule" and not self._is_first(connection)
        # No crossing is as late as the last possible date, so that date acknowledges all crossings.
        since = self.now.date() - trailing if may_alert else dt.date.max
        return evaluate_budgets(connection, self.organization, days, self.now, allocated=allocated, alert_since=since)

    def evaluate(self, connection: Connection, days: Collection[dt.date]) -> None:
        """Evaluate days for everything that the configured checks of the costs asset cover."""
        checks = self.configuration.checks
        if asset_paths.ANOMALOUS_SPEND in checks:
            self.evaluate_anomalies(connection, days, users=False)
        if asset_paths.BUDGETS in checks and has_budgets(self.organization, allocated=False):
            self.evaluate_budgets(connection, days, allocated=False)

    def _is_first(self, connection: Connection) -> bool:
        return incident_alerts.is_first_evaluation(connection, self.organization.name, self.run_id)
