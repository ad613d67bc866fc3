"""Gathers what the spend report says, from what is stored; nothing is asked of OpenAI."""

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
from openai_costs_dagster.warehouse.report_queries import DoubtfulDay, KnownName, SpentPart

HISTORY = 366  # days
_MOST_NUMBERS = 400_000  # keeps a page of 20 organizations with 25 users each below 5 MB
_MOST_FINDINGS = 400
_MOST_MOVERS = 25  # of an organization
_MOST_RESTATEMENTS = 20
_RESTATED_LATELY = dt.timedelta(days=35)


def load_spend_report(configuration: Configuration, database: Database, now: dt.datetime) -> SpendReport:
    """The last year of every configured organization, with links where `dagster_url` is configured.

    All figures come from one snapshot, so that a reading that is stored meanwhile changes none or all of them.
    Raises WarehouseError.
    """
    organizations, today = sorted(configuration.organizations), now.date()
    with database.connect() as connection, snapshot(connection):
        known = overviews_of(connection, configuration, now)
        begun = report_queries.first_stored_days(connection, organizations)
        days = _days(min(begun.values(), default=today), today)
        cube = pack(report_queries.cells(connection, organizations, days), days.first, _MOST_NUMBERS)
        found = _anomalies(connection, configuration, days)
        provisional, missing = _doubtful(report_queries.doubtful_days(connection, organizations, days))
        return SpendReport(
            generated_at=now,
            first_day=days.first,
            last_day=days.last,
            is_simulated=configuration.is_simulated,
            dagster_url=configuration.dagster_url,
            organizations=[_standing(one, configuration, begun.get(one.organization)) for one in known],
            cube=cube,
            names=_names(_known_names(connection, configuration), cube, found),
            provisional=provisional,
            missing=missing,
            budgets=[_budget(one.organization, state) for one in known for state in one.budget_states],
            anomalies=found,
            comparisons=_comparisons(connection, begun, now, configuration.refresh.settle_hours),
            unit_costs=report_queries.months_of_models(connection, organizations, days),
            restatements=report_queries.restatements(
                connection, organizations, now - _RESTATED_LATELY, _MOST_RESTATEMENTS
            ),
            other_currencies=report_queries.other_money(connection, organizations, days),
        )


def _days(first: dt.date, today: dt.date) -> DayRange:
    """The last year, or what there is of it."""
    return DayRange(min(max(first, today - (HISTORY - 1) * ONE_DAY), today), today)


def _known_names(connection: Connection, configuration: Configuration) -> list[KnownName]:
    with_addresses = [name for name, one in configuration.organizations.items() if one.store_emails]
    return report_queries.known_names(connection, list(configuration.organizations), with_addresses)


def _names(known: Iterable[KnownName], cube: Cube, found: Iterable[AnomalyEntry]) -> list[KnownName]:
    """Of what is on the page alone: whoever reads it need not learn who else there is."""
    shown = {(owner, value) for names_ in cube.names.values() for owner, value in names_}
    shown |= {(one.organization, value) for one in found for value in (one.project, one.user, one.key) if value}
    return [one for one in known if (one.organization, one.id) in shown]


def _standing(one: Overview, configuration: Configuration, first_day: dt.date | None) -> OrganizationStatus:
    return OrganizationStatus(
        organization=one.organization,
        title=one.title,
        first_day=first_day,
        last_day=one.last_day,
        settled_to=one.settled_to,
        missing_days=one.missing_days,
        last_success_at=one.last_success_at,
        last_error=one.last_error,
        grouping=one.detail[-1].grouping if one.detail else "",
        month_to_date=one.month_to_date,
        month_in_other_currencies=[
            format_amount(amount, currency) for currency, amount in one.month_in_other_currencies.items()
        ],
        forecast=one.forecast,
        forecast_low=one.forecast_low,
        forecast_high=one.forecast_high,
        forecast_as_of=one.known_to,
        open_anomalies=len(one.open_anomalies),
        needs=one.needs,
        dagster_path=asset_paths.asset_page(asset_paths.costs_path(configuration.organization(one.organization))),
    )


def _doubtful(days: Iterable[DoubtfulDay]) -> tuple[dict[str, Sequence[dt.date]], dict[str, Sequence[dt.date]]]:
    """The provisional and the missing days, each by organization."""
    provisional: dict[str, list[dt.date]] = defaultdict(list)
    missing: dict[str, list[dt.date]] = defaultdict(list)
    for organization, day, is_missing in days:
        (missing if is_missing else provisional)[organization].append(day)
    return dict(provisional), dict(missing)


def _budget(organization: str, state: BudgetState) -> BudgetStatus:
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
    """The newest that are worth someone's time, answered or not."""
    found = anomalies.findings(connection, first=days.first, last=days.last)
    ours = [one for one in found if one.worth_alerting and one.organization in configuration.organizations]
    return [_anomaly(one, configuration.organization(one.organization)) for one in ours[:_MOST_FINDINGS]]


def _anomaly(one: StoredFinding, organization: Organization) -> AnomalyEntry:
    by_user, columns = bool(one.series.user), one.series.columns()
    asset = asset_paths.allocated_costs_path(organization) if by_user else asset_paths.costs_path(organization)
    return AnomalyEntry(
        organization=one.organization,
        day=one.usage_date,
        level=one.level,
        dimensions=["key" if name == "api_key" else name for name in one.series.dimensions],
        project=columns["project_id"],
        service=columns["service"],
        model=columns["model"],
        key=columns["api_key_id"],
        user=columns["user_id"],
        actual=one.actual,
        expected=one.expected,
        lower=one.lower,
        upper=one.upper,
        impact=one.impact,
        severity=one.severity,
        explanation=one.explanation,
        feedback=one.feedback,
        is_open=one.is_open,
        dagster_path=asset_paths.check_page(asset, asset_paths.ANOMALOUS_SPEND, one.usage_date),
        has_daily_range=one.has_daily_range,
    )


def _comparisons(
    connection: Connection, begun: Mapping[str, dt.date], now: dt.datetime, settle_hours: int
) -> list[Comparison]:
    """What grew and what shrank, of days that are settled by now as far as their age tells.

    An organization whose history does not reach back to the earlier range's first day would only seem to have grown.
    """
    settled = (now - dt.timedelta(hours=settle_hours)).date() - ONE_DAY
    found = []
    for name, days, earlier in _ranges(settled):
        reaching = [organization for organization, first in begun.items() if first <= earlier.first]
        if reaching:
            movers = _movers(report_queries.spent_parts(connection, reaching, days, earlier))
            ends = (days.first, days.last, earlier.first, earlier.last)
            found.append(Comparison(name, *ends, movers, sorted(set(begun) - set(reaching))))
    return found


def _ranges(settled: dt.date) -> list[tuple[str, DayRange, DayRange]]:
    """Ranges of days and as many before them, the newest ending with the last settled day."""
    found = []
    for length in (7, 28):
        days = DayRange(settled - (length - 1) * ONE_DAY, settled)
        found.append((f"{length} days with the {length} before", days, _before(days)))
    return [*found, calendar_month_ranges(settled)]


def calendar_month_ranges(settled: dt.date) -> tuple[str, DayRange, DayRange]:
    """The month of the last settled day beside the one before, as many days of each: the shorter one's at most."""
    first, last_of_earlier = settled.replace(day=1), settled.replace(day=1) - ONE_DAY
    length = min(settled.day, last_of_earlier.day)
    days = DayRange(first, first.replace(day=length))
    earlier = DayRange(last_of_earlier.replace(day=1), last_of_earlier.replace(day=length))
    return f"{length} days of {first:%B} with those of {last_of_earlier:%B}", days, earlier


def _before(days: DayRange) -> DayRange:
    return DayRange(days.first - len(days) * ONE_DAY, days.first - ONE_DAY)


def _movers(parts: Iterable[SpentPart]) -> list[Mover]:
    """By organization, those that changed most."""
    groups: dict[tuple[str, str, str], list[SpentPart]] = defaultdict(list)
    for part in parts:
        groups[part.organization, part.project, part.model].append(part)
    ranked: dict[str, list[Mover]] = defaultdict(list)
    for (organization, project, model), of_series in groups.items():
        ranked[organization].append(_mover(organization, project, model, of_series))
    for movers in ranked.values():
        movers.sort(key=lambda one: (-abs(one.change), one.project or "", one.model or ""))
    return [mover for movers in ranked.values() for mover in movers[:_MOST_MOVERS]]


def _mover(organization: str, project: str, model: str, parts: Sequence[SpentPart]) -> Mover:
    change = decompose_change(_part(one) for one in parts)
    return Mover(
        organization=organization,
        project=None if project == NO_VALUE else project,
        model=None if model == NO_VALUE else model,
        amount=money.total(one.amount for one in parts),
        earlier_amount=money.total(one.earlier_amount for one in parts),
        change=change.total,
        volume=change.volume,
        price=change.price,
        mix=change.mix,
        unmeasured=change.unmeasured,
        volume_ratio=change.volume_ratio,
        price_ratio=change.price_ratio,
        unit=change.unit,
    )


def _part(one: SpentPart) -> Segment:
    return Segment(
        project=one.project,
        model=one.model,
        api_key="",
        line_item=one.line_item,
        kind=one.kind,
        unit=one.quantity_unit,
        amount=one.amount,
        usual_amount=one.earlier_amount,
        quantity=one.quantity,
        usual_quantity=one.earlier_quantity,
    )
