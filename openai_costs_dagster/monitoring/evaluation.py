"""Evaluates stored days: finds anomalies, evaluates budgets, stores the results and records the alerts.

The asset checks of costs and of allocated costs use this module. The costs asset also uses this module when a run fails
for some days: Dagster skips the checks of a failed run, and the findings of the stored days would never be alerted.
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
    """Evaluates days of one organization on behalf of one Dagster run."""

    organization: Organization
    configuration: Configuration
    run_id: str
    trigger: Trigger
    """The trigger of the run. Only a scheduled run sends alerts."""
    now: dt.datetime
    """The current time in UTC."""

    def evaluate_anomalies(
        self, connection: Connection, days: Collection[dt.date], *, users: bool
    ) -> dict[dt.date, DayEvaluation]:
        """Find the anomalies of the days, and store the findings and their alerts in one transaction."""
        name, trigger, now = self.organization.name, self.trigger, self.now
        evaluations = evaluate_days(connection, name, self.configuration.anomalies, days, users=users)
        found = [finding for evaluation in evaluations.values() for finding in evaluation.findings]
        minimum = self.configuration.anomalies.minimum_impact_usd
        # Two transactions would be unsafe: after a crash between them, the stored findings would never be alerted.
        with connection.transaction():
            # `_is_first` also stores this run as the first evaluation. If storing the findings fails, a rollback must
            # undo that too.
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
        """Evaluate the budgets of each day, record alerts for reached thresholds, and return the budgets by day.

        An alert is only sent by a scheduled run, and only if the threshold was reached on a trailing day. The first run
        of an organization sends none, because it stores a year of history with old thresholds.
        """
        refresh = self.configuration.refresh
        # The weekly refresh covers more days than the daily refresh. A threshold reached on any of these days is
        # alerted.
        trailing = max(refresh.trailing_days, refresh.deep_trailing_days) * ONE_DAY
        may_alert = self.trigger == "schedule" and not self._is_first(connection)
        # No threshold is reached on or after the largest possible date, so with this date no alert is sent.
        since = self.now.date() - trailing if may_alert else dt.date.max
        return evaluate_budgets(connection, self.organization, days, self.now, allocated=allocated, alert_since=since)

    def evaluate(self, connection: Connection, days: Collection[dt.date]) -> None:
        """Find the anomalies of the days and evaluate their budgets, if the setting `checks` contains these checks."""
        checks = self.configuration.checks
        if asset_paths.ANOMALOUS_SPEND in checks:
            self.evaluate_anomalies(connection, days, users=False)
        if asset_paths.BUDGETS in checks and has_budgets(self.organization, allocated=False):
            self.evaluate_budgets(connection, days, allocated=False)

    def _is_first(self, connection: Connection) -> bool:
        return incident_alerts.is_first_evaluation(connection, self.organization.name, self.run_id)
