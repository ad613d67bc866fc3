// The parts of the page, each from the report and what is asked for.

const MOST_ROWS = 15;
const MOST_MOVERS = 12;
const OPEN_FINDINGS = 3;
const MOST_ON_PAPER = 20;
const DAYS_BEFORE = 45;
const DAYS_AFTER = 7;

function sayWhatIsShown(report, filters) {
  const { first, last } = filters.days;
  const asked = ASKED.filter((name) => filters.chosen(name) !== undefined)
    .map((name) => `${name} ${filters.nameOfChosen(name)}`);
  document.getElementById("shown").textContent = first > last ? "The period ends before it begins."
    : `${report.dateOf(first)} to ${report.dateOf(last)}: ${asked.join(", ") || "everything"}`;
  document.getElementById("lacking").hidden = !filters.lacksSomething;
  const folded = document.getElementById("folded"), counts = Object.entries(report.cube.folded);
  folded.hidden = !counts.length;
  folded.textContent = `${counts.map(([what, count]) => `${WHOLE.format(count)} ${what}`).join(", ")}`
    + " of little spend stand together as (others).";
}

function tile(title, figure, note, id) {
  return element("div", { class: "tile" }, element("h2", {}, title),
    element("p", { class: "figure", id }, figure), element("p", { class: "quiet" }, note));
}

function showTotals(report, filters, chosen) {
  const { first, last } = filters.days;
  const spent = totalOf(chosen, first, last);
  const month = report.dayOf(`${report.last_day.slice(0, 8)}01`);
  const toDate = totalOf(chosen, Math.max(month, 0), report.count - 1);
  const pale = provisionalOf(report, chosen, first, last);
  show("totals",
    tile("Spend in the period", dollars(spent), comparedWithBefore(report, filters, chosen, first, last), "total-period"),
    tile("Month to date", dollars(toDate), `since ${report.last_day.slice(0, 8)}01`, "total-month"),
    forecastTile(report, filters),
    budgetTile(report, filters),
    tile("Provisional", dollars(pale), "of the period's spend may still change", "total-provisional"),
    tile("Open anomalies", String(findingsOf(report, filters).filter((one) => one.is_open).length),
      "in the period, worth someone's time and not answered", "total-anomalies"),
    otherMoneyTile(report, filters, first, last));
}

// What was billed in other currencies, of whole organizations: it is in no other figure of the page. Null where there is none.
function otherMoneyTile(report, filters, first, last) {
  const sums = otherMoneyOf(report, filters, first, last);
  if (!sums.length) return null;
  const whole = filters.fine.length ? ", of whole organizations" : "";
  return tile("Other currencies", sums.map(({ text }) => text).join(" and "),
    `in the period${whole}; in no total, forecast, budget or anomaly, which are US dollars`, "total-other-currencies");
}

// Sums by currency of the chosen organizations, from first to last.
function otherMoneyOf(report, filters, first, last) {
  const sums = new Map();
  for (const [organization, day, currency, amount] of report.other_currencies) {
    const number = report.dayOf(day);
    if (number < first || number > last || !filters.hasOrganization(organization)) continue;
    sums.set(currency, (sums.get(currency) ?? 0) + Number(amount));
  }
  return [...sums].map(([currency, amount]) => ({ currency, amount, text: inCurrency(amount, currency) }));
}

// The settled part of a period beside as many days before it, where all who are chosen have those.
function comparedWithBefore(report, filters, chosen, first, last) {
  const owners = [...new Set(chosen.map((one) => one.organization))];
  let end = first - 1;
  while (end < last && !owners.some((owner) => report.isProvisional(owner, end + 1))) end += 1;
  const length = end - first + 1, missing = missingDays(report, filters, first, last);
  const days = counted(Math.max(last - first + 1, 0), "day") + (missing ? `; ${counted(missing, "day")} of them not all read` : "");
  const begun = report.organizations.filter((one) => filters.hasOrganization(one.organization) && one.first_day !== null);
  if (length < 1 || begun.some((one) => report.dayOf(one.first_day) > first - length)) return days;
  if (missingDays(report, filters, first - length, end)) return days;
  const settled = totalOf(chosen, first, end), before = totalOf(chosen, first - length, first - 1);
  const until = end < last ? `${dollars(settled)} of it settled, to ${report.dateOf(end)}; ` : "";
  return `${until}${dollars(before)} in the ${counted(length, "day")} before${changeOf(settled, before)}`;
}

// How many days from first to last are not there for everyone who is asked for.
function missingDays(report, filters, first, last) {
  let count = 0;
  for (let day = first; day <= last; day += 1) if (report.isMissing(filters.organizations, day)) count += 1;
  return count;
}

function forecastTile(report, filters) {
  if (filters.fine.length) return tile("Forecast of the month", "–", "is made of whole organizations", "total-forecast");
  const known = report.organizations.filter((one) => filters.hasOrganization(one.organization) && one.forecast !== null);
  const sum = (name) => known.reduce((total, one) => total + Number(one[name]), 0);
  const range = known.length === 1
    ? `four of five such months end between ${dollars(sum("forecast_low"))} and ${dollars(sum("forecast_high"))}`
    : `${known.length} organizations added up`;
  return tile("Forecast of the month", known.length ? dollars(sum("forecast")) : "–", known.length ? range : "too little is known",
    "total-forecast");
}

function budgetTile(report, filters) {
  const budgets = budgetsOf(report, filters);
  const over = budgets.filter((one) => Number(one.share ?? 0) >= 1).length;
  const likely = budgets.filter((one) => Number(one.share ?? 0) < 1 && Number(one.forecast ?? 0) > Number(one.limit)).length;
  const note = budgets.length ? `${likely} more will be, as it looks` : noBudgets(filters);
  return tile("Budgets exceeded", budgets.length ? `${over} of ${budgets.length}` : "–", note, "total-budgets");
}

// Budgets of what is chosen: within an organization, those of that very project, model or user.
function budgetsOf(report, filters) {
  const { fine } = filters;
  return report.budgets.filter((one) => filters.hasOrganization(one.organization)
    && (!fine.length || (fine.includes(one.scope) && filters.agrees(one.scope, one.organization, one.scope_id))));
}

const noBudgets = (filters) => (filters.fine.length ? "none for just what is chosen" : "none are configured");

function layersOf(report, filters, chosen, bars) {
  const dimension = filters.value("stack"), { first, last } = filters.days;
  const totals = totalsBy(chosen, dimension, first, last);
  const layer = (name, series) => {
    const days = byDay(series, first, last);
    return { name, amounts: bars.map((bar) => days.subarray(bar.first - first, bar.last - first + 1).reduce((a, b) => a + b, 0)) };
  };
  const own = totals.length > MOST_LAYERS + 1 ? totals.slice(0, MOST_LAYERS) : totals;
  const layers = own.map(([place]) => layer(report.nameOf(dimension, place), chosen.filter((one) => one[dimension] === place)));
  if (own.length < totals.length) {
    const named = new Set(own.map(([place]) => place));
    layers.push(layer(`${totals.length - own.length} others`, chosen.filter((one) => !named.has(one[dimension]))));
  }
  return layers;
}

function showDays(report, filters, chosen) {
  const { first, last } = filters.days, canvas = document.getElementById("days-chart");
  const bars = barsOf(report, first, last, filters.value("bar"));
  const layers = layersOf(report, filters, chosen, bars);
  const owners = [...new Set(chosen.map((one) => one.organization))];
  const provisional = bars.map((bar) => owners.some((owner) => {
    for (let day = bar.first; day <= bar.last; day += 1) if (report.isProvisional(owner, day)) return true;
    return false;
  }));
  const missing = bars.map((bar) => missingDays(report, filters, bar.first, bar.last) > 0);
  stackedBars(canvas, bars, layers, provisional, missing);
  document.getElementById("days-missing").hidden = !missing.includes(true);
  document.getElementById("days-as").textContent = `Stacked by ${filters.value("stack")}, a bar for each ${filters.value("bar")}.`;
  const sums = bars.map((_, bar) => layers.reduce((sum, layer) => sum + layer.amounts[bar], 0));
  const most = sums.indexOf(Math.max(...sums));
  canvas.setAttribute("aria-label", bars.length
    ? `Bars of spend stacked by ${filters.value("stack")}; the highest is ${dollars(sums[most])} at ${bars[most].label}. A table follows.`
    : "No days are chosen.");
  const columns = [
    { head: filters.value("bar"), write: (bar) => (
      bars[bar].label + (provisional[bar] ? " (provisional)" : "") + (missing[bar] ? " (not all read)" : "")) },
    ...layers.map((layer) => ({ head: layer.name, number: true, write: (bar) => dollars(layer.amounts[bar]) })),
    { head: "Total", number: true, write: (bar) => dollars(sums[bar]) },
  ];
  const foot = ["Total", ...layers.map((layer) => dollars(layer.amounts.reduce((a, b) => a + b, 0))),
    dollars(sums.reduce((a, b) => a + b, 0))];
  const details = document.getElementById("days-figures");
  const fill = () => details.querySelector("div").replaceChildren(
    table(`Spend by ${filters.value("bar")} and ${filters.value("stack")}`, columns, bars.map((_, bar) => bar).reverse(), foot));
  details.ontoggle = () => { if (details.open) fill(); };
  if (details.open) fill();
}

function showMonth(report, filters) {
  const ours = report.organizations.filter((one) => filters.hasOrganization(one.organization));
  show("month-organizations", table("This month", [
    { head: "Organization", write: (one) => [link(report, one.dagster_path, one.title)] },
    { head: "Month to date", number: true, write: (one) => (
      [dollars(Number(one.month_to_date)), ...one.month_in_other_currencies].join(" and ")) },
    { head: "Forecast", number: true, write: (one) => (one.forecast === null ? "–" : dollars(Number(one.forecast))) },
    { head: "Likely range", number: true, write: (one) => (
      one.forecast === null ? "–" : `${dollars(Number(one.forecast_low))} to ${dollars(Number(one.forecast_high))}`) },
  ], ours));
  const budgets = budgetsOf(report, filters);
  document.getElementById("month-note").hidden = !filters.fine.length;
  show("month-budgets", budgets.length ? table("Budgets in their present period", [
    { head: "Organization", write: (one) => report.titles.get(one.organization) ?? one.organization },
    { head: "Budget", write: (one) => one.budget },
    { head: "Until", write: (one) => one.period_end },
    { head: "Spent", number: true, write: (one) => dollars(Number(one.spent)) },
    { head: "Of", number: true, write: (one) => dollars(Number(one.limit)) },
    { head: "Forecast", number: true, write: (one) => (one.forecast === null ? "–" : dollars(Number(one.forecast))) },
    { head: "Share", write: (one) => budgetMeter(one) },
  ], budgets) : say(`Budgets: ${noBudgets(filters)}.`));
}

function budgetMeter({ share, forecast, limit }) {
  const spent = Number(share ?? 0), ends = forecast === null ? null : Number(forecast) / Number(limit);
  const words = percent(spent) + (ends === null ? "" : `, ${percent(ends)} as it looks`);
  return [words, meter(spent, ends, words)];
}

function showMovers(report, filters) {
  const comparison = report.comparisons[Number(filters.value("comparison"))] ?? report.comparisons[0];
  if (!comparison) { show("movers-table", say("Too few settled days are known.")); return; }
  const rows = comparison.movers.filter((one) => filters.hasOrganization(one.organization)
    && ["project", "model"].every((name) => filters.agrees(name, one.organization, one[name])))
    .sort((one, other) => Math.abs(other.change) - Math.abs(one.change)).slice(0, MOST_MOVERS);
  const part = (head, name) => ({ head, number: true, write: (row) => (Math.abs(row[name]) < 0.005 ? "–" : signedDollars(Number(row[name]))) });
  const range = (first, last) => (first === last ? first : `${first} to ${last}`);
  const caption = `${range(comparison.first, comparison.last)} against ${range(comparison.earlier_first, comparison.earlier_last)}`;
  const short = comparison.excluded_organizations.filter((name) => filters.hasOrganization(name)).map((name) => report.titles.get(name) ?? name);
  show("movers-table", filters.value("user") ? say("By user there are no quantities: choose all users.") : null,
    short.length ? say(`Not known so far back, and left out: ${short.join(", ")}.`) : null,
    table(caption, [
      { head: "Organization", write: (row) => report.titles.get(row.organization) ?? row.organization },
      { head: "Project", write: (row) => report.name("project", row.organization, row.project) },
      { head: "Model or tool", write: (row) => row.model ?? NOTHING.model },
      { head: "Before", number: true, write: (row) => dollars(Number(row.earlier_amount)) },
      { head: "Now", number: true, write: (row) => dollars(Number(row.amount)) },
      { head: "Change", number: true, write: (row) => [element("strong", { class: direction(row.change) }, signedDollars(Number(row.change)))] },
      part("Volume", "volume"), part("Price", "price"), part("Mix", "mix"), part("Other", "unmeasured"),
      { head: "Why", write: why },
    ], rows));
}

function why({ volume_ratio: volume, price_ratio: price, unit, earlier_amount: earlier }) {
  if (Number(earlier) === 0) return "new";
  if (volume === null || price === null) return "";
  const said = [`${ROUGH.format(volume)}x the ${unit ?? "units"}`];
  said.push(Math.abs(price - 1) < 0.03 ? "unit price unchanged" : `unit price ${signedShare(price - 1)}`);
  return said.join(", ");
}

function findingsOf(report, filters) {
  const { first, last } = filters.days;
  return report.anomalies.filter((one) => {
    const day = report.dayOf(one.day);
    return day >= first && day <= last && filters.hasOrganization(one.organization)
      && ["project", "model", "user"].every((name) => filters.chosen(name) === undefined
        || (one.dimensions.includes(name) && filters.agrees(name, one.organization, one[name])));
  });
}

function showAnomalies(report, filters) {
  const found = findingsOf(report, filters).sort((one, other) => Math.abs(other.impact) - Math.abs(one.impact));
  show("anomalies-list", found.length ? null : say("None in the period."),
    ...found.map((one, place) => finding(report, one, opened.get(nameOfFinding(one)) ?? place < OPEN_FINDINGS)));
}

// Which findings the reader opened or closed by hand: they stay so, whatever else is chosen.
const opened = new Map();

const seriesOf = (one) => ["organization", "level", "project", "service", "model", "key", "user"].map((name) => one[name]);
const nameOfFinding = (one) => JSON.stringify([one.day, ...seriesOf(one)]);

function finding(report, one, open) {
  const names = one.dimensions.map((name) => report.name(name, one.organization, one[name]));
  const title = report.titles.get(one.organization) ?? one.organization;
  const details = element("details", { class: "finding", open: open ? "" : false },
    element("summary", {},
      element("span", { class: `impact ${direction(one.impact)}` }, signedDollars(Number(one.impact))),
      element("span", {}, one.day), element("span", { class: "badge" }, one.severity),
      element("span", {}, `${title}: ${names.join(", ") || "the organization"}`)),
    element("p", {}, one.explanation),
    one.feedback ? element("p", { class: "quiet" }, `Answered: ${one.feedback}`) : null,
    report.dagster_url ? element("p", {}, link(report, one.dagster_path, "Its check in Dagster")) : null);
  details.firstChild.addEventListener("click", () => opened.set(nameOfFinding(one), !details.open));
  const series = report.series.filter((each) => belongs(report, each, one));
  if (series.length) {
    const canvas = element("canvas", { role: "img", "aria-label": `Spend by day around ${one.day}, the finding in colour.` });
    details.append(element("div", { class: "chart" }, canvas));
    details.drawChart = () => drawFinding(report, one, series, canvas);
    details.addEventListener("toggle", () => { if (details.open && canvas.isConnected) details.drawChart(); });
  }
  return details;
}

// Whether a series of the cube is part of what a finding is about.
function belongs(report, series, one) {
  return series.organization === report.owners.get(one.organization)
    && one.level !== "line item"
    && one.dimensions.every((name) => (series[name] === null ? "" : report.cube.names[name][series[name]][1]) === (one[name] ?? ""));
}

function drawFinding(report, one, series, canvas) {
  const day = report.dayOf(one.day), first = Math.max(0, day - DAYS_BEFORE), last = Math.min(report.count - 1, day + DAYS_AFTER);
  const amounts = byDay(series, first, last);
  const its = JSON.stringify(seriesOf(one));
  const found = new Map(report.anomalies.filter((other) => JSON.stringify(seriesOf(other)) === its)
    .map((other) => [other.day, other.has_daily_range ? { lower: Number(other.lower), upper: Number(other.upper) } : null]));
  findingBars(canvas, [...amounts].map((amount, place) => ({ label: report.dateOf(first + place), amount })), found);
}

function showPeople(report, filters, chosen) {
  for (const [id, dimension, head] of [["people-users", "user", "User"], ["people-keys", "key", "API key"]]) {
    const { first, last } = filters.days, rows = totalsBy(chosen, dimension, first, last);
    const all = rows.reduce((sum, [, amount]) => sum + amount, 0);
    const shown = rows.slice(0, MOST_ROWS), rest = rows.slice(MOST_ROWS).reduce((sum, [, amount]) => sum + amount, 0);
    const foot = ["Total", dollars(all), ""];
    if (rows.length > shown.length) shown.push([undefined, rest]);
    show(id, table(`By ${head === "User" ? "user" : head}`, [
      { head, write: ([place]) => (place === undefined ? `${rows.length - MOST_ROWS} others` : report.nameOf(dimension, place)) },
      { head: "Spend", number: true, write: ([, amount]) => dollars(amount) },
      { head: "Share", write: ([, amount]) => shareCell(shareOf(amount, all)) },
    ], shown, foot));
  }
}

const shareCell = (share) => (share === null ? "–" : [percent(share), meter(share, null, percent(share))]);

function showUnitCosts(report, filters) {
  document.getElementById("units-note").hidden = !["project", "user"].some((name) => filters.fine.includes(name));
  const month = `${report.last_day.slice(0, 8)}01`;
  const months = [...new Set(report.unit_costs.map(([, , one]) => one))].sort().slice(-3);
  const rows = new Map();
  for (const [organization, model, when, amount, tokens, requests] of report.unit_costs) {
    const asked = filters.hasOrganization(organization) && filters.agrees("model", organization, model);
    if (!months.includes(when) || !asked) continue;
    const row = rows.get(model) ?? rows.set(model, { model, months: new Map() }).get(model);
    const sum = row.months.get(when) ?? row.months.set(when, { amount: 0, tokens: 0, requests: 0 }).get(when);
    sum.amount += Number(amount); sum.tokens += Number(tokens); sum.requests += Number(requests ?? 0);
  }
  const sorted = [...rows.values()].sort((one, other) => lastAmount(other) - lastAmount(one));
  const cost = (row, when, of, scale) => {
    const sum = row.months.get(when);
    return sum && sum[of] ? smallDollars((scale * sum.amount) / sum[of]) : "–";
  };
  show("units-table", sorted.length ? table("Of a model", [
    { head: "Model", write: (row) => row.model },
    ...months.map((when) => ({ head: `1k tokens, ${when.slice(0, 7)}${when === month ? " so far" : ""}`, number: true, write: (row) => cost(row, when, "tokens", 1000) })),
    ...months.slice(-1).map((when) => ({ head: `A request, ${when.slice(0, 7)}`, number: true, write: (row) => cost(row, when, "requests", 1) })),
    ...months.slice(-1).map((when) => ({ head: `Tokens, ${when.slice(0, 7)}`, number: true, write: (row) => ROUGH.format(row.months.get(when)?.tokens ?? 0) })),
  ], sorted) : say("No tokens were counted."));
}

function lastAmount(row) { return [...row.months.values()].pop().amount; }

function showFreshness(report, filters) {
  const ours = report.organizations.filter((one) => filters.hasOrganization(one.organization));
  show("freshness-table", table("Organizations", [
    { head: "Organization", write: (one) => [link(report, one.dagster_path, one.title)] },
    { head: "Last day", write: (one) => one.last_day ?? "never" },
    { head: "Settled to", write: (one) => one.settled_to ?? "–" },
    { head: "Missing days", number: true, write: (one) => String(one.missing_days) },
    { head: "Last read", write: (one) => moment(one.last_success_at) },
    { head: "Detail", write: (one) => one.grouping || "–" },
    { head: "Needs a person", write: (one) => [element("span", { class: one.needs.length ? "warn" : undefined }, one.needs.join("; ") || "–")] },
  ], ours));
  const restated = report.restatements.filter(([organization]) => filters.hasOrganization(organization));
  show("restatements-table", restated.length ? table("Restated in the last 35 days, the most first", [
    { head: "Organization", write: ([organization]) => report.titles.get(organization) ?? organization },
    { head: "Day", write: ([, day]) => day },
    { head: "Seen", write: ([, , seen]) => moment(seen) },
    { head: "Rows", number: true, write: ([, , , , parts]) => String(parts) },
    { head: "Change", number: true, write: ([, , , currency, , change]) => (
      currency === "usd" ? signedDollars(Number(change)) : `${Number(change) > 0 ? "+" : ""}${inCurrency(Number(change), currency)}`) },
  ], restated) : say("Nothing settled was restated in the last 35 days."));
  const other = ours.flatMap(({ organization }) => {
    const only = { hasOrganization: (name) => name === organization };
    return otherMoneyOf(report, only, 0, report.count - 1).map((sum) => ({ organization, ...sum }));
  });
  const caption = `Billed in other currencies from ${report.first_day} to ${report.last_day}: in no total, forecast, budget or anomaly`;
  show("other-money-table", other.length ? table(caption, [
    { head: "Organization", write: ({ organization }) => report.titles.get(organization) ?? organization },
    { head: "Amount", number: true, write: ({ text }) => text },
  ], other) : null);
}
