// Sums over the cube. Whole billionths are added up, so that nothing is lost on the way to the cent.

// Visits the days of a series from first to last that have an amount.
function eachDay({ first: start, amounts, later }, first, last, visit) {
  if (later) {
    later.forEach((days, place) => { if (start + days >= first && start + days <= last) visit(start + days, amounts[place]); });
    return;
  }
  const to = Math.min(last - start, amounts.length - 1);
  for (let place = Math.max(first - start, 0); place <= to; place += 1) visit(start + place, amounts[place]);
}

function sumOf(series, first, last) {
  let sum = 0;
  eachDay(series, first, last, (_, amount) => { sum += amount; });
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
    eachDay(series, first, last, (day, amount) => { if (report.isProvisional(series.organization, day)) sum += amount; });
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
    eachDay(series, first, last, (day, amount) => { days[day - first] += amount; });
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
