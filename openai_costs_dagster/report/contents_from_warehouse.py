"""Loads the data of the spend report from the database, without any request to OpenAI."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.cost_records import format_amount
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.monitoring.status import Overview, overviews_of
from openai_costs_dagster.records import NO_VALUE
from openai_costs_dagster.report.contents import (
    AnomalyEntry,
    BudgetStatus,
    Comparison,
    Mover,
    OrganizationStatus,
    SpendReport,
)
from openai_costs_dagster.report.cube import Cube, pack
from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.price_volume_mix import Segment, decompose_change
from openai_costs_dagster.warehouse import anomalies, report_queries
from openai_costs_dagster.warehouse.anomalies import StoredFinding
from openai_costs_dagster.warehouse.budgets import BudgetState
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.focus import snapshot
from openai_costs_dagster.warehouse.report_queries import CurrentName, NonFinalDay, SpentPart

HISTORY = 366  # The number of days in the report, the length of a leap year.
# The limit of amounts and offsets on the page. With this limit, the page of 20 organizations with 25 users each is
# below 5 MB.
_MAX_NUMBERS = 400_000
_MAX_FINDINGS = 400
_MAX_MOVERS = 25  # The number of largest changes per organization that the page lists.
_MAX_RESTATEMENTS = 20
_RESTATEMENT_PERIOD = dt.timedelta(days=35)


def load_spend_report(configuration: Configuration, database: Database, now: dt.datetime) -> SpendReport:
    """Load the spend report about the last year of all configured organizations.

    All queries use one database snapshot, so that a refresh during the queries cannot mix old and new figures. The
    report contains links to Dagster if `dagster_url` is configured. Raises `WarehouseError` if the database cannot be
    read.
    """
    organizations, today = sorted(configuration.organizations), now.date()
    with database.connect() as connection, snapshot(connection):
        overviews = overviews_of(connection, configuration, now)
        first_days = report_queries.first_stored_days(connection, organizations)
        days = _days(min(first_days.values(), default=today), today)
        cube = pack(report_queries.cells(connection, organizations, days), days.first, _MAX_NUMBERS)
        entries = _anomalies(connection, configuration, days)
        provisional, missing = _split_non_final(report_queries.non_final_days(connection, organizations, days))
        return SpendReport(
            generated_at=now,
            first_day=days.first,
            last_day=days.last,
            is_simulated=configuration.is_simulated,
            dagster_url=configuration.dagster_url,
            organizations=[
                _organization_status(overview, configuration, first_days.get(overview.organization))
                for overview in overviews
            ],
            cube=cube,
            names=_names_on_page(_known_names(connection, configuration), cube, entries),
            provisional=provisional,
            missing=missing,
            budgets=[
                _budget_status(overview.organization, state) for overview in overviews for state in overview.budgets
            ],
            anomalies=entries,
            comparisons=_comparisons(connection, first_days, now, configuration.refresh.settle_hours),
            unit_costs=report_queries.monthly_unit_costs(connection, organizations, days),
            restatements=report_queries.restatements(
                connection, organizations, now - _RESTATEMENT_PERIOD, _MAX_RESTATEMENTS
            ),
            other_currencies=report_queries.other_currencies(connection, organizations, days),
        )


def _days(first: dt.date, today: dt.date) -> DayRange:
    """Return the days of the last year, or the days since the first stored day if there are fewer of them."""
    return DayRange(min(max(first, today - (HISTORY - 1) * ONE_DAY), today), today)


def _known_names(connection: Connection, configuration: Configuration) -> list[CurrentName]:
    """Load the display names of projects, users and API keys.

    An email address replaces a missing name only if the configuration allows that addresses are stored.
    """
    with_addresses = [name for name, organization in configuration.organizations.items() if organization.store_emails]
    return report_queries.current_names(connection, list(configuration.organizations), with_addresses)


def _names_on_page(known: Iterable[CurrentName], cube: Cube, entries: Iterable[AnomalyEntry]) -> list[CurrentName]:
    """Return the names that the page shows. Names of other users would be personal data without a purpose."""
    shown = {(organization, value) for pairs in cube.names.values() for organization, value in pairs}
    shown |= {
        (entry.organization, value) for entry in entries for value in (entry.project, entry.user, entry.key) if value
    }
    return [name for name in known if (name.organization, name.id) in shown]


def _organization_status(
    overview: Overview, configuration: Configuration, first_day: dt.date | None
) -> OrganizationStatus:
    return OrganizationStatus(
        organization=overview.organization,
        title=overview.title,
        first_day=first_day,
        last_day=overview.last_day,
        last_settled_day=overview.last_settled_day,
        missing_days=overview.missing_days,
        last_success_at=overview.last_success_at,
        last_error=overview.last_error,
        # OpenAI may group old days in another way. The last entry of `groupings` describes the newest days.
        grouping=overview.groupings[-1].grouping if overview.groupings else "",
        month_to_date=overview.month_to_date,
        month_in_other_currencies=[
            format_amount(amount, currency) for currency, amount in overview.month_to_date_other_currencies.items()
        ],
        forecast=overview.forecast,
        forecast_low=overview.forecast_low,
        forecast_high=overview.forecast_high,
        forecast_as_of=overview.forecast_as_of,
        open_anomalies=len(overview.open_anomalies),
        required_actions=overview.required_actions,
        dagster_path=asset_paths.asset_page(asset_paths.costs_path(configuration.organization(overview.organization))),
    )


def _split_non_final(days: Iterable[NonFinalDay]) -> tuple[dict[str, Sequence[dt.date]], dict[str, Sequence[dt.date]]]:
    """Return the provisional days and the missing days, each by organization."""
    provisional: dict[str, list[dt.date]] = defaultdict(list)
    missing: dict[str, list[dt.date]] = defaultdict(list)
    for organization, day, is_missing in days:
        (missing if is_missing else provisional)[organization].append(day)
    return dict(provisional), dict(missing)


def _budget_status(organization: str, state: BudgetState) -> BudgetStatus:
    return BudgetStatus(
        organization=organization,
        budget=state.budget,
        period_start=state.period_start,
        period_end=state.period_end,
        scope=state.scope,
        scope_id=state.scope_id,
        limit=state.amount_limit,
        spent=state.spent,
        share=state.spent / state.amount_limit if state.amount_limit else None,
        forecast=state.forecast,
        forecast_low=state.forecast_low,
        forecast_high=state.forecast_high,
    )


def _anomalies(connection: Connection, configuration: Configuration, days: DayRange) -> list[AnomalyEntry]:
    """Return the newest findings that are large enough for an alert, with and without feedback."""
    found = anomalies.findings(connection, first=days.first, last=days.last)
    # Findings of organizations that were removed from the configuration stay in the database, but are not shown.
    shown = [
        finding for finding in found if finding.worth_alerting and finding.organization in configuration.organizations
    ]
    return [_anomaly(finding, configuration.organization(finding.organization)) for finding in shown[:_MAX_FINDINGS]]


def _anomaly(finding: StoredFinding, organization: Organization) -> AnomalyEntry:
    by_user, columns = bool(finding.series.user), finding.series.columns()
    # Costs are not complete by user, so the check of the allocated costs evaluates users.
    asset = asset_paths.allocated_costs_path(organization) if by_user else asset_paths.costs_path(organization)
    return AnomalyEntry(
        organization=finding.organization,
        day=finding.usage_date,
        level=finding.level,
        dimensions=["key" if name == "api_key" else name for name in finding.series.dimensions],
        project=columns["project_id"],
        service=columns["service"],
        model=columns["model"],
        key=columns["api_key_id"],
        user=columns["user_id"],
        actual=finding.actual,
        expected=finding.expected,
        lower=finding.lower,
        upper=finding.upper,
        impact=finding.impact,
        severity=finding.severity,
        explanation=finding.explanation,
        feedback=finding.feedback,
        is_open=finding.is_open,
        dagster_path=asset_paths.check_page(asset, asset_paths.ANOMALOUS_SPEND, finding.usage_date),
        has_daily_range=finding.has_daily_range,
    )


def _comparisons(
    connection: Connection, first_days: Mapping[str, dt.date], now: dt.datetime, settle_hours: int
) -> list[Comparison]:
    """Compare ranges of days that are older than `settle_hours`, because newer days may still change.

    An organization whose history begins within the earlier range is left out, because its spend would look like growth.
    """
    # The costs of a provisional day are incomplete, so a comparison that includes it would show a decrease.
    settled = (now - dt.timedelta(hours=settle_hours)).date() - ONE_DAY
    comparisons = []
    for name, days, earlier in _ranges(settled):
        # For an organization that began within the earlier range, the missing days would look like growth.
        compared = [organization for organization, first in first_days.items() if first <= earlier.first]
        if compared:
            movers = _movers(report_queries.spent_parts(connection, compared, days, earlier))
            ends = (days.first, days.last, earlier.first, earlier.last)
            comparisons.append(Comparison(name, *ends, movers, sorted(set(first_days) - set(compared))))
    return comparisons


def _ranges(settled: dt.date) -> list[tuple[str, DayRange, DayRange]]:
    """Return the titles and the pairs of ranges to compare. `settled` is the newest settled day."""
    ranges = []
    for length in (7, 28):
        days = DayRange(settled - (length - 1) * ONE_DAY, settled)
        ranges.append((f"{length} days with the {length} before", days, _preceding(days)))
    return [*ranges, calendar_month_ranges(settled)]


def calendar_month_ranges(settled: dt.date) -> tuple[str, DayRange, DayRange]:
    """Return the title and the ranges that compare the month of the day `settled` with the month before.

    The two ranges have the same number of days, at most the length of the shorter month.
    """
    first, last_of_earlier = settled.replace(day=1), settled.replace(day=1) - ONE_DAY
    length = min(settled.day, last_of_earlier.day)
    days = DayRange(first, first.replace(day=length))
    earlier = DayRange(last_of_earlier.replace(day=1), last_of_earlier.replace(day=length))
    return f"{length} days of {first:%B} with those of {last_of_earlier:%B}", days, earlier


def _preceding(days: DayRange) -> DayRange:
    """Return the range of the same length that ends on the day before `days`."""
    return DayRange(days.first - len(days) * ONE_DAY, days.first - ONE_DAY)


def _movers(parts: Iterable[SpentPart]) -> list[Mover]:
    """Return the models by project whose spend changed most, for each organization."""
    groups: dict[tuple[str, str, str], list[SpentPart]] = defaultdict(list)
    for part in parts:
        groups[part.organization, part.project, part.model].append(part)
    ranked: dict[str, list[Mover]] = defaultdict(list)
    for (organization, project, model), group in groups.items():
        ranked[organization].append(_mover(organization, project, model, group))
    for movers in ranked.values():
        # Equal changes are sorted by name, so that equal data always result in the same page.
        movers.sort(key=lambda mover: (-abs(mover.change), mover.project or "", mover.model or ""))
    return [mover for movers in ranked.values() for mover in movers[:_MAX_MOVERS]]


def _mover(organization: str, project: str, model: str, parts: Sequence[SpentPart]) -> Mover:
    change = decompose_change(_segment(part) for part in parts)
    return Mover(
        organization=organization,
        project=None if project == NO_VALUE else project,
        model=None if model == NO_VALUE else model,
        amount=money.total(part.amount for part in parts),
        earlier_amount=money.total(part.earlier_amount for part in parts),
        change=change.total,
        volume=change.volume,
        price=change.price,
        mix=change.mix,
        unmeasured=change.unmeasured,
        volume_ratio=change.volume_ratio,
        price_ratio=change.price_ratio,
        unit=change.unit,
    )


def _segment(spent: SpentPart) -> Segment:
    return Segment(
        project=spent.project,
        model=spent.model,
        api_key="",
        line_item=spent.line_item,
        kind=spent.kind,
        unit=spent.quantity_unit,
        amount=spent.amount,
        usual_amount=spent.earlier_amount,
        quantity=spent.quantity,
        usual_quantity=spent.earlier_quantity,
    )
