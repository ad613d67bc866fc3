// The sections of the page. Each function fills one section from the report, the filters and the selected series.

/** @typedef {HTMLDetailsElement & { drawChart?: () => void }} AnomalyElement */

const MAX_ROWS = 15;  // users or API keys in a table
const MAX_MOVERS = 12;
const OPEN_ANOMALIES = 3;  // open when the page loads
const MAX_PRINTED_ANOMALIES = 20;
const DAYS_BEFORE_ANOMALY = 45;  // days in the chart of an anomaly
const DAYS_AFTER_ANOMALY = 7;
const UNCHANGED_PRICE_SHARE = 0.03;  // changes of a unit price up to 3 % are rounding and small shifts of the mix
const SMALLEST_SHOWN_DOLLARS = 0.005;  // half a cent

/**
 * @param {ReportData} report
 * @param {Filters} filters
 */
function showSelection(report, filters) {
  const { first, last } = filters.days;
  const conditions = FILTER_NAMES.filter((name) => filters.selectedIndex(name) !== undefined)
    .map((name) => `${name} ${filters.selectedText(name)}`);
  byId("shown").textContent = first > last ? "The period ends before it starts."
    : `${report.dateOf(first)} to ${report.dateOf(last)}: ${conditions.join(", ") || "all spend"}`;
  // Browsers use the title for history entries, bookmarks, printed pages and the names of PDF files.
  document.title = [`OpenAI spend by ${filters.value("bar")} and ${filters.value("stack")}`, periodText(report, filters), ...conditions]
    .join(", ") + (report.data.is_simulated ? " (simulated)" : "");
  byId("absent").hidden = !filters.hasAbsentValue;
  byId("conflict").hidden = filters.hasAbsentValue || !filters.hasConflict;
  const removed = byId("removed");
  removed.hidden = !filters.removed.length;
  removed.textContent = `Removed, because the chosen organization has no such spend: ${filters.removed.join(", ")}.`;
  const folded = byId("folded"), counts = Object.entries(report.data.cube.folded);
  folded.hidden = !counts.length;
  folded.textContent = `${counts.map(([group, count]) => `${INTEGER_FORMAT.format(count)} ${group}`).join(", ")}`
    + " with little spend are combined as (others).";
}

/**
 * Returns the first and last day of the selected period as text.
 * @param {ReportData} report
 * @param {Filters} filters
 */
function periodText(report, { days: { first, last } }) {
  return first > last ? "no days" : `${report.dateOf(first)} to ${report.dateOf(last)}`;
}

/**
 * @param {string} title
 * @param {string} figure
 * @param {string} explanation
 * @param {string} id
 */
function tile(title, figure, explanation, id) {
  return element("div", { class: "tile" }, element("h2", {}, title),
    element("p", { class: "figure", id }, figure), element("p", { class: "quiet" }, explanation));
}

/**
 * @param {ReportData} report
 * @param {Filters} filters
 * @param {Series[]} selected
 */
function showTotals(report, filters, selected) {
  const { first, last } = filters.days;
  const spent = totalOf(selected, first, last);
  const monthToDate = totalOf(selected, Math.max(report.dayOf(report.monthStart), 0), report.dayCount - 1);
  const provisional = provisionalTotalOf(report, selected, first, last);
  replaceContent("totals",
    tile("Spend in the period", dollars(spent), comparisonWithPrecedingDays(report, filters, selected, first, last), "total-period"),
    tile("Month to date", dollars(monthToDate), `since ${report.monthStart}`, "total-month"),
    forecastTile(report, filters),
    budgetTile(report, filters),
    tile("Provisional", dollars(provisional), "part of the period's spend that may still change", "total-provisional"),
    tile("Open anomalies", String(anomaliesOf(report, filters).filter((anomaly) => anomaly.is_open).length),
      "in the period, without feedback", "total-anomalies"),
    otherCurrenciesTile(report, filters, first, last));
}

/**
 * Returns a tile for spend in other currencies, or null without such spend. No other figure of the page includes it.
 * @param {ReportData} report
 * @param {Filters} filters
 * @param {number} first
 * @param {number} last
 */
function otherCurrenciesTile(report, filters, first, last) {
  const sums = otherCurrencySums(report, filters, first, last);
  if (!sums.length) return null;
  const scope = filters.fineFilters.length ? ", for whole organizations" : "";
  return tile("Other currencies", sums.map(({ text }) => text).join(" and "),
    `in the period${scope}; not included in totals, forecasts, budgets or anomalies, which are US dollars`, "total-other-currencies");
}

/**
 * Returns the sums by currency of the selected organizations.
 * @param {ReportData} report
 * @param {{ hasOrganization: (name: string) => boolean }} filters
 * @param {number} first
 * @param {number} last
 */
function otherCurrencySums(report, filters, first, last) {
  /** @type {Map<string | null, number>} */
  const sums = new Map();
  for (const [organization, date, currency, amount] of report.data.other_currencies) {
    const day = report.dayOf(date);
    if (day < first || day > last || !filters.hasOrganization(organization)) continue;
    sums.set(currency, (sums.get(currency) ?? 0) + Number(amount));
  }
  return [...sums].map(([currency, amount]) => ({ currency, amount, text: inCurrency(amount, currency) }));
}

/**
 * Describes the period and compares its settled days with as many days before. Provisional days would always look like
 * a decrease. The comparison is omitted if a selected organization has no complete data for both ranges.
 * @param {ReportData} report
 * @param {Filters} filters
 * @param {Series[]} selected
 * @param {number} first
 * @param {number} last
 */
function comparisonWithPrecedingDays(report, filters, selected, first, last) {
  const indexes = [...new Set(selected.map(({ organization }) => organization))];
  let settledEnd = first - 1;
  while (settledEnd < last && !indexes.some((index) => report.isProvisional(index, settledEnd + 1))) settledEnd += 1;
  const length = settledEnd - first + 1, missing = countMissingDays(report, filters, first, last);
  const days = counted(Math.max(last - first + 1, 0), "day") + (missing ? `, ${counted(missing, "day")} incomplete` : "");
  const startsLater = report.data.organizations.some(({ organization, first_day: firstDay }) => (
    filters.hasOrganization(organization) && firstDay !== null && report.dayOf(firstDay) > first - length));
  if (length < 1 || startsLater) return days;
  if (countMissingDays(report, filters, first - length, settledEnd)) return days;
  const settled = totalOf(selected, first, settledEnd), before = totalOf(selected, first - length, first - 1);
  const settledPart = settledEnd < last ? `${dollars(settled)} settled to ${report.dateOf(settledEnd)}; ` : "";
  return `${settledPart}${dollars(before)} in the ${counted(length, "day")} before${relativeChange(settled, before)}`;
}

/**
 * Returns the number of days that are missing for at least one selected organization.
 * @param {ReportData} report
 * @param {Filters} filters
 * @param {number} first
 * @param {number} last
 */
function countMissingDays(report, filters, first, last) {
  let count = 0;
  for (let day = first; day <= last; day += 1) if (report.isMissing(filters.organizations, day)) count += 1;
  return count;
}

/**
 * @param {ReportData} report
 * @param {Filters} filters
 */
function forecastTile(report, filters) {
  const title = "Forecast of the month", id = "total-forecast";
  if (filters.fineFilters.length) return tile(title, "–", "available only for whole organizations", id);
  const forecasts = report.data.organizations.filter(
    ({ organization, forecast }) => filters.hasOrganization(organization) && forecast !== null);
  if (!forecasts.length) return tile(title, "–", "not enough data", id);
  const sum = forecasts.reduce((total, { forecast }) => total + Number(forecast), 0);
  const [{ forecast_low: low, forecast_high: high }] = forecasts;
  // The forecast ranges of several organizations cannot be added, because their errors are not perfectly correlated.
  const range = forecasts.length === 1 ? `80 % range: ${dollars(Number(low))} to ${dollars(Number(high))}`
    : `sum of ${forecasts.length} organizations`;
  return tile(title, dollars(sum), range, id);
}

/**
 * @param {ReportData} report
 * @param {Filters} filters
 */
function budgetTile(report, filters) {
  const budgets = budgetsOf(report, filters);
  const exceeded = budgets.filter(({ share }) => Number(share ?? 0) >= 1).length;
  const likely = budgets.filter(({ share, forecast, limit }) => (
    Number(share ?? 0) < 1 && Number(forecast ?? 0) > Number(limit))).length;
  const explanation = budgets.length ? `${likely} more forecast to be exceeded` : noBudgetsText(filters);
  return tile("Budgets exceeded", budgets.length ? `${exceeded} of ${budgets.length}` : "–", explanation, "total-budgets");
}

/**
 * Returns the budgets of the selection. With a filter for projects, models or users, only budgets of exactly that value.
 * @param {ReportData} report
 * @param {Filters} filters
 */
function budgetsOf(report, filters) {
  const { fineFilters } = filters;
  return report.data.budgets.filter((budget) => {
    const scope = fineFilters.find((name) => name === budget.scope);
    return filters.hasOrganization(budget.organization)
      && (!fineFilters.length || (scope !== undefined && filters.selects(scope, budget.organization, budget.scope_id)));
  });
}

/** @param {Filters} filters */
const noBudgetsText = (filters) => (filters.fineFilters.length ? "no budget for this selection" : "no budgets configured");

/**
 * Returns the layers of the stacked bars: the largest values of a dimension, and the sum of all others.
 * @param {ReportData} report
 * @param {Filters} filters
 * @param {Series[]} selected
 * @param {Bar[]} bars
 */
function layersOf(report, filters, selected, bars) {
  const dimension = /** @type {Dimension} */ (filters.value("stack")), { first, last } = filters.days;
  const totals = totalsBy(selected, dimension, first, last);
  /** @param {string} name @param {Series[]} series */
  const layer = (name, series) => {
    const days = byDay(series, first, last);
    return { name, amounts: bars.map((bar) => days.subarray(bar.first - first, bar.last - first + 1).reduce((a, b) => a + b, 0)) };
  };
  const shown = totals.length > MAX_LAYERS + 1 ? totals.slice(0, MAX_LAYERS) : totals;
  const layers = shown.map(([index]) => (
    layer(report.labelOf(dimension, index), selected.filter((series) => series[dimension] === index))));
  if (shown.length < totals.length) {
    const named = new Set(shown.map(([index]) => index));
    layers.push(layer(`${totals.length - shown.length} others`, selected.filter((series) => !named.has(series[dimension]))));
  }
  return layers;
}

/**
 * @param {ReportData} report
 * @param {Filters} filters
 * @param {Series[]} selected
 */
function showDays(report, filters, selected) {
  const { first, last } = filters.days, canvas = /** @type {HTMLCanvasElement} */ (byId("days-chart"));
  const unit = filters.value("bar"), stack = filters.value("stack");
  const bars = barsOf(report, first, last, unit);
  const layers = layersOf(report, filters, selected, bars);
  const indexes = [...new Set(selected.map(({ organization }) => organization))];
  const provisional = bars.map((bar) => indexes.some((index) => {
    for (let day = bar.first; day <= bar.last; day += 1) if (report.isProvisional(index, day)) return true;
    return false;
  }));
  const missing = bars.map((bar) => countMissingDays(report, filters, bar.first, bar.last) > 0);
  drawStackedBars(canvas, unit, bars, layers, provisional, missing);
  byId("days-missing").hidden = !missing.includes(true);
  byId("days-title").textContent = `Spend by ${unit} and ${stack}`;
  const sums = bars.map((_, bar) => layers.reduce((sum, layer) => sum + layer.amounts[bar], 0));
  const highest = sums.indexOf(Math.max(...sums));
  canvas.setAttribute("aria-label", bars.length
    ? `Bar chart of spend stacked by ${stack}. The highest bar is ${dollars(sums[highest])} for ${bars[highest].label}. A table with all figures follows.`
    : "The selected period contains no days.");
  /** @type {Column<number>[]} */
  const columns = [
    { head: unit[0].toUpperCase() + unit.slice(1), write: (bar) => (
      bars[bar].label + (provisional[bar] ? " (provisional)" : "") + (missing[bar] ? " (incomplete)" : "")) },
    ...layers.map((layer) => ({ head: layer.name, isNumber: true, write: (/** @type {number} */ bar) => dollars(layer.amounts[bar]) })),
    { head: "Total", isNumber: true, write: (bar) => dollars(sums[bar]) },
  ];
  const foot = ["Total", ...layers.map((layer) => dollars(layer.amounts.reduce((a, b) => a + b, 0))),
    dollars(sums.reduce((a, b) => a + b, 0))];
  const details = /** @type {HTMLDetailsElement} */ (byId("days-figures"));
  const fill = () => details.querySelector("div")?.replaceChildren(
    table(`US dollars per ${unit}, ${periodText(report, filters)}`, columns, bars.map((_, bar) => bar).reverse(), foot));
  // A table of a whole year with many layers takes long to build, so it is built only when a person opens it.
  details.ontoggle = () => { if (details.open) fill(); };
  if (details.open) fill();
}

/** @param {DecimalText | null} amount */
const optionalDollars = (amount) => (amount === null ? "–" : dollars(Number(amount)));

/**
 * @param {ReportData} report
 * @param {Filters} filters
 */
function showMonth(report, filters) {
  const organizations = report.data.organizations.filter(({ organization }) => filters.hasOrganization(organization));
  replaceContent("month-organizations", table(`This month, from ${report.monthStart}`, [
    { head: "Organization", write: (status) => dagsterLink(report, status.dagster_path, status.title) },
    { head: "Month to date", isNumber: true, write: (status) => (
      [dollars(Number(status.month_to_date)), ...status.month_in_other_currencies].join(" and ")) },
    { head: "Forecast", isNumber: true, write: (status) => optionalDollars(status.forecast) },
    { head: "80 % range", isNumber: true, write: (status) => (
      status.forecast === null ? "–" : `${optionalDollars(status.forecast_low)} to ${optionalDollars(status.forecast_high)}`) },
  ], organizations));
  const budgets = budgetsOf(report, filters);
  byId("month-note").hidden = !filters.fineFilters.length;
  replaceContent("month-budgets", budgets.length ? table("Budgets in their current period", [
    { head: "Organization", write: ({ organization }) => report.titleOf(organization) },
    { head: "Budget", write: ({ budget }) => budget },
    { head: "Period end", write: (budget) => budget.period_end },
    { head: "Spent", isNumber: true, write: ({ spent }) => dollars(Number(spent)) },
    { head: "Limit", isNumber: true, write: ({ limit }) => dollars(Number(limit)) },
    { head: "Forecast", isNumber: true, write: ({ forecast }) => optionalDollars(forecast) },
    { head: "Share of limit", write: budgetMeter },
  ], budgets) : note(`Budgets: ${noBudgetsText(filters)}.`));
}

/** @param {BudgetStatus} budget */
function budgetMeter({ share, forecast, limit }) {
  const spent = Number(share ?? 0), forecastShare = forecast === null ? null : Number(forecast) / Number(limit);
  const label = `${percent(spent)} spent${forecastShare === null ? "" : `, ${percent(forecastShare)} forecast`}`;
  return [label, meter(spent, forecastShare, label)];
}

/**
 * @param {ReportData} report
 * @param {Filters} filters
 */
function showMovers(report, filters) {
  const { comparisons } = report.data;
  const comparison = comparisons[Number(filters.value("comparison"))] ?? comparisons[0];
  if (!comparison) { replaceContent("movers-table", note("There are too few settled days to compare.")); return; }
  const movers = comparison.movers.filter((mover) => filters.hasOrganization(mover.organization)
    && filters.selects("project", mover.organization, mover.project) && filters.selects("model", mover.organization, mover.model))
    .sort((left, right) => Math.abs(Number(right.change)) - Math.abs(Number(left.change))).slice(0, MAX_MOVERS);
  /** @param {string} head @param {"volume" | "price" | "mix" | "unmeasured"} effect @returns {Column<Mover>} */
  const effectColumn = (head, effect) => ({ head, isNumber: true, write: (mover) => {
    const amount = Number(mover[effect]);
    return Math.abs(amount) < SMALLEST_SHOWN_DOLLARS ? "–" : signedDollars(amount);
  } });
  /** @param {IsoDay} first @param {IsoDay} last */
  const range = (first, last) => (first === last ? first : `${first} to ${last}`);
  const caption = `${range(comparison.first, comparison.last)} compared with ${range(comparison.earlier_first, comparison.earlier_last)}`;
  const excluded = comparison.excluded_organizations.filter((name) => filters.hasOrganization(name)).map((name) => report.titleOf(name));
  replaceContent("movers-table",
    filters.value("user") ? note("OpenAI reports no quantities by user. This table includes all users.") : null,
    excluded.length ? note(`Excluded because their history is too short: ${excluded.join(", ")}.`) : null,
    table(caption, [
      { head: "Organization", write: ({ organization }) => report.titleOf(organization) },
      { head: "Project", write: ({ organization, project }) => report.name("project", organization, project) },
      { head: "Model or tool", write: ({ model }) => model ?? NO_VALUE_LABELS.model },
      { head: "Before", isNumber: true, write: (mover) => dollars(Number(mover.earlier_amount)) },
      { head: "Now", isNumber: true, write: ({ amount }) => dollars(Number(amount)) },
      { head: "Change", isNumber: true, write: ({ change }) => (
        element("strong", { class: directionClass(Number(change)) }, signedDollars(Number(change)))) },
      effectColumn("Volume", "volume"), effectColumn("Price", "price"), effectColumn("Mix", "mix"),
      effectColumn("Other", "unmeasured"),
      { head: "Reason", write: reasonOfChange },
    ], movers));
}

/** @param {Mover} mover */
function reasonOfChange({ volume_ratio: volume, price_ratio: price, unit, earlier_amount: earlier }) {
  if (Number(earlier) === 0) return "new";
  if (volume === null || price === null) return "";
  const priceChange = Number(price) - 1;
  const priceText = Math.abs(priceChange) < UNCHANGED_PRICE_SHARE ? "unit price unchanged" : `unit price ${signedPercent(priceChange)}`;
  return `${COMPACT_FORMAT.format(Number(volume))}x the ${unit ?? "units"}, ${priceText}`;
}

/**
 * Returns the anomalies of the period and the selection. A filter for a dimension, such as the model, hides anomalies
 * of series without this dimension.
 * @param {ReportData} report
 * @param {Filters} filters
 */
function anomaliesOf(report, filters) {
  const { first, last } = filters.days;
  return report.data.anomalies.filter((anomaly) => {
    const day = report.dayOf(anomaly.day);
    return day >= first && day <= last && filters.hasOrganization(anomaly.organization)
      && /** @type {("project" | "model" | "user")[]} */ (["project", "model", "user"]).every((name) => (
        filters.selectedIndex(name) === undefined
          || (anomaly.dimensions.includes(name) && filters.selects(name, anomaly.organization, anomaly[name]))));
  });
}

/**
 * @param {ReportData} report
 * @param {Filters} filters
 */
function showAnomalies(report, filters) {
  const anomalies = anomaliesOf(report, filters)
    .sort((left, right) => Math.abs(Number(right.impact)) - Math.abs(Number(left.impact)));
  replaceContent("anomalies-list", anomalies.length ? null : note("There are no anomalies in the period."),
    ...anomalies.map((anomaly, index) => (
      anomalyElement(report, anomaly, openedByUser.get(anomalyKey(anomaly)) ?? index < OPEN_ANOMALIES))));
}

/** @type {Map<string, boolean>} The anomalies that the user opened or closed, to keep them so. */
const openedByUser = new Map();

/** @param {AnomalyEntry} anomaly */
const seriesKey = ({ organization, level, project, service, model, key, user }) => (
  JSON.stringify([organization, level, project, service, model, key, user]));
/** @param {AnomalyEntry} anomaly */
const anomalyKey = (anomaly) => anomaly.day + seriesKey(anomaly);

/**
 * @param {AnomalyEntry} anomaly
 * @param {Dimension} dimension
 */
const valueOf = (anomaly, dimension) => anomaly[dimension];

/**
 * @param {ReportData} report
 * @param {AnomalyEntry} anomaly
 * @param {boolean} isOpen
 */
function anomalyElement(report, anomaly, isOpen) {
  const names = anomaly.dimensions.map((dimension) => report.name(dimension, anomaly.organization, valueOf(anomaly, dimension)));
  const impact = Number(anomaly.impact);
  const summary = element("summary", {},
    element("span", { class: `impact ${directionClass(impact)}` }, signedDollars(impact)),
    element("span", {}, anomaly.day), element("span", { class: "badge" }, anomaly.severity),
    element("span", {}, `${report.titleOf(anomaly.organization)}: ${names.join(", ") || "whole organization"}`));
  const details = /** @type {AnomalyElement} */ (element("details", { class: "finding", open: isOpen ? "" : false },
    summary,
    element("p", {}, anomaly.explanation),
    anomaly.feedback ? element("p", { class: "quiet" }, `Feedback: ${anomaly.feedback}`) : null,
    report.data.dagster_url
      ? element("p", {}, dagsterLink(report, anomaly.dagster_path, "Open the check in Dagster")) : null));
  summary.addEventListener("click", () => openedByUser.set(anomalyKey(anomaly), !details.open));
  const series = report.series.filter((each) => isSeriesOf(report, each, anomaly));
  if (series.length) {
    const canvas = /** @type {HTMLCanvasElement} */ (element("canvas", { role: "img",
      "aria-label": `Bar chart of daily spend around ${anomaly.day}. The anomaly has another colour.` }));
    details.append(element("div", { class: "chart" }, canvas));
    details.drawChart = () => drawAnomaly(report, anomaly, series, canvas);
    // Chart.js cannot measure a canvas inside closed details, so the chart is drawn when they open.
    details.addEventListener("toggle", () => { if (details.open && canvas.isConnected) details.drawChart?.(); });
  }
  return details;
}

/**
 * Returns whether a series is part of an anomaly. Line items are ignored, because the page has no spend by line item.
 * @param {ReportData} report
 * @param {Series} series
 * @param {AnomalyEntry} anomaly
 */
function isSeriesOf(report, series, anomaly) {
  return series.organization === report.organizationIndexes.get(anomaly.organization)
    && anomaly.level !== "line item"
    && anomaly.dimensions.every((dimension) => {
      const index = series[dimension];
      return (index === null ? "" : report.data.cube.names[dimension][index][1]) === (valueOf(anomaly, dimension) ?? "");
    });
}

/**
 * @param {ReportData} report
 * @param {AnomalyEntry} anomaly
 * @param {Series[]} series
 * @param {HTMLCanvasElement} canvas
 */
function drawAnomaly(report, anomaly, series, canvas) {
  const day = report.dayOf(anomaly.day);
  const first = Math.max(0, day - DAYS_BEFORE_ANOMALY), last = Math.min(report.dayCount - 1, day + DAYS_AFTER_ANOMALY);
  const key = seriesKey(anomaly);
  // The chart also highlights the other anomalies of the series. The range of an anomaly over several days is left
  // out, because a bar shows only one day.
  const ranges = new Map(report.data.anomalies.filter((other) => seriesKey(other) === key).map((other) => (
    [other.day, other.has_daily_range ? { lower: Number(other.lower), upper: Number(other.upper) } : null])));
  drawAnomalyBars(canvas, [...byDay(series, first, last)].map(
    (amount, index) => ({ label: report.dateOf(first + index), amount })), ranges);
}

/**
 * @param {ReportData} report
 * @param {Filters} filters
 * @param {Series[]} selected
 */
function showPeople(report, filters, selected) {
  showSpendBy(report, filters, selected, "user", "User", "people-users");
  showSpendBy(report, filters, selected, "key", "API key", "people-keys");
}

/**
 * @param {ReportData} report
 * @param {Filters} filters
 * @param {Series[]} selected
 * @param {Dimension} dimension
 * @param {string} head
 * @param {string} id
 */
function showSpendBy(report, filters, selected, dimension, head, id) {
  const { first, last } = filters.days, totals = totalsBy(selected, dimension, first, last);
  const total = totals.reduce((sum, [, amount]) => sum + amount, 0);
  const rows = totals.slice(0, MAX_ROWS).map(([index, amount]) => ({ label: report.labelOf(dimension, index), amount }));
  const others = totals.slice(MAX_ROWS);
  if (others.length) rows.push({ label: `${others.length} others`, amount: others.reduce((sum, [, amount]) => sum + amount, 0) });
  replaceContent(id, table(`Spend by ${dimension === "user" ? "user" : "API key"}, ${periodText(report, filters)}`, [
    { head, write: ({ label }) => label },
    { head: "Spend", isNumber: true, write: ({ amount }) => dollars(amount) },
    { head: "Share", write: ({ amount }) => shareCell(shareOf(amount, total)) },
  ], rows, ["Total", dollars(total), ""]));
}

/** @param {number | null} share @returns {CellContent} */
const shareCell = (share) => (share === null ? "–" : [percent(share), meter(share, null, percent(share))]);

/**
 * @param {ReportData} report
 * @param {Filters} filters
 */
function showUnitCosts(report, filters) {
  byId("units-note").hidden = !filters.fineFilters.some((name) => name !== "model");
  const unitCosts = report.data.unit_costs;
  const months = [...new Set(unitCosts.map(([, , month]) => month))].sort().slice(-3);
  /** @typedef {{ amount: number, tokens: number, requests: number }} MonthSums */
  /** @type {Map<string, { model: string, months: Map<IsoDay, MonthSums> }>} */
  const rows = new Map();
  for (const [organization, model, month, amount, tokens, requests] of unitCosts) {
    const isSelected = filters.hasOrganization(organization) && filters.selects("model", organization, model);
    if (!months.includes(month) || !isSelected) continue;
    const row = rows.get(model) ?? { model, months: new Map() };
    const sums = row.months.get(month) ?? { amount: 0, tokens: 0, requests: 0 };
    sums.amount += Number(amount); sums.tokens += Number(tokens); sums.requests += Number(requests ?? 0);
    row.months.set(month, sums);
    rows.set(model, row);
  }
  /** @typedef {{ model: string, months: Map<IsoDay, MonthSums> }} ModelRow */
  /** @param {ModelRow} row */
  const newestAmount = (row) => [...row.months.values()].pop()?.amount ?? 0;
  const sorted = [...rows.values()].sort((left, right) => newestAmount(right) - newestAmount(left));
  /** @param {ModelRow} row @param {IsoDay} month @param {"tokens" | "requests"} unit @param {number} scale */
  const unitCost = (row, month, unit, scale) => {
    const sums = row.months.get(month);
    return sums && sums[unit] ? smallDollars((scale * sums.amount) / sums[unit]) : "–";
  };
  /** @param {IsoDay} month */
  const label = (month) => `${month.slice(0, 7)}${month === report.monthStart ? " to date" : ""}`;
  /** @type {Column<ModelRow>[]} */
  const columns = [
    { head: "Model", write: (row) => row.model },
    ...months.map((month) => ({ head: `1,000 tokens, ${label(month)}`, isNumber: true,
      write: (/** @type {ModelRow} */ row) => unitCost(row, month, "tokens", 1000) })),
    ...months.slice(-1).flatMap((month) => [
      { head: `Request, ${month.slice(0, 7)}`, isNumber: true,
        write: (/** @type {ModelRow} */ row) => unitCost(row, month, "requests", 1) },
      { head: `Tokens, ${month.slice(0, 7)}`, isNumber: true,
        write: (/** @type {ModelRow} */ row) => COMPACT_FORMAT.format(row.months.get(month)?.tokens ?? 0) },
    ]),
  ];
  replaceContent("units-table", sorted.length ? table("Unit costs by model", columns, sorted) : note("No token usage is stored."));
}

/**
 * @param {ReportData} report
 * @param {Filters} filters
 */
function showFreshness(report, filters) {
  const organizations = report.data.organizations.filter(({ organization }) => filters.hasOrganization(organization));
  replaceContent("freshness-table", table("Organizations", [
    { head: "Organization", write: (status) => dagsterLink(report, status.dagster_path, status.title) },
    { head: "Last day", write: (status) => status.last_day ?? "never" },
    { head: "Last settled day", write: (status) => status.last_settled_day ?? "–" },
    { head: "Missing days", isNumber: true, write: (status) => String(status.missing_days) },
    { head: "Last refresh", write: (status) => minuteOf(status.last_success_at) },
    { head: "Grouping", write: ({ grouping }) => grouping || "–" },
    { head: "Action needed", write: ({ required_actions }) => element("span", { class: required_actions.length ? "warn" : undefined }, required_actions.join("; ") || "–") },
  ], organizations));
  const restatements = report.data.restatements.filter(([organization]) => filters.hasOrganization(organization));
  replaceContent("restatements-table", restatements.length ? table("Restatements of the last 35 days, largest first", [
    { head: "Organization", write: ([organization]) => report.titleOf(organization) },
    { head: "Day", write: ([, day]) => day },
    { head: "Observed at", write: ([, , observedAt]) => minuteOf(observedAt) },
    { head: "Rows", isNumber: true, write: ([, , , , rowCount]) => String(rowCount) },
    { head: "Change", isNumber: true, write: ([, , , currency, , change]) => (
      currency === "usd" ? signedDollars(Number(change)) : `${Number(change) > 0 ? "+" : ""}${inCurrency(Number(change), currency)}`) },
  ], restatements) : note("No settled day was restated in the last 35 days."));
  showOtherCurrencies(report, organizations);
}

/**
 * @param {ReportData} report
 * @param {OrganizationStatus[]} organizations
 */
function showOtherCurrencies(report, organizations) {
  const rows = organizations.flatMap(({ organization }) => {
    const onlyThis = { hasOrganization: (/** @type {string} */ name) => name === organization };
    return otherCurrencySums(report, onlyThis, 0, report.dayCount - 1).map((sum) => ({ organization, ...sum }));
  });
  const caption = `Billed in other currencies from ${report.data.first_day} to ${report.data.last_day}.`
    + " Not included in totals, forecasts, budgets or anomalies.";
  replaceContent("other-currencies-table", rows.length ? table(caption, [
    { head: "Organization", write: ({ organization }) => report.titleOf(organization) },
    { head: "Amount", isNumber: true, write: ({ text }) => text },
  ], rows) : null);
}
