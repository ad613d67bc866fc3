// Sums over the cube. Whole billionths are added up, so that nothing is lost on the way to the cent.

function sumOf(series, first, last) {
  let sum = 0;
  const from = Math.max(first - series.first, 0), to = Math.min(last - series.first, series.amounts.length - 1);
  for (let place = from; place <= to; place += 1) sum += series.amounts[place];
  return sum;
}

function totalOf(all, first, last) {
  let sum = 0;
  for (const series of all) sum += sumOf(series, first, last);
  return sum / DOLLAR;
}

function provisionalOf(report, all, first, last) {
  let sum = 0;
  for (const series of all) {
    for (const day of report.provisionalDays.get(series.organization) ?? []) {
      if (day >= first && day <= last) sum += series.amounts[day - series.first] ?? 0;
    }
  }
  return sum / DOLLAR;
}

// Dollars by a dimension's places, the most first.
function totalsBy(all, dimension, first, last) {
  const sums = new Map();
  for (const series of all) {
    sums.set(series[dimension], (sums.get(series[dimension]) ?? 0) + sumOf(series, first, last));
  }
  return [...sums].filter(([, sum]) => sum !== 0).map(([place, sum]) => [place, sum / DOLLAR])
    .sort((one, other) => other[1] - one[1]);
}

// Dollars by day from first to last.
function byDay(all, first, last) {
  const days = new Float64Array(Math.max(last - first + 1, 0));
  for (const series of all) {
    const from = Math.max(first, series.first), to = Math.min(last, series.first + series.amounts.length - 1);
    for (let day = from; day <= to; day += 1) days[day - first] += series.amounts[day - series.first];
  }
  return days.map((sum) => sum / DOLLAR);
}

// Days put together as a bar each: a day, a week from Monday on, a calendar month.
function barsOf(report, first, last, bar) {
  const bars = [];
  for (let day = first; day <= last; day += 1) {
    const date = report.dateOf(day);
    const starts = bar === "day" || (bar === "week" && new Date(date).getUTCDay() === 1)
      || (bar === "month" && date.endsWith("-01"));
    if (starts || !bars.length) bars.push({ label: bar === "month" ? date.slice(0, 7) : date, first: day, last: day });
    bars[bars.length - 1].last = day;
  }
  return bars;
}
