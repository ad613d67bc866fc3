// Computes sums of spend. Amounts are whole billionths of a dollar, which a JavaScript number represents exactly.

/**
 * Calls `visit` with each stored day from `first` to `last` and its amount in billionths.
 * @param {Series} series
 * @param {number} first
 * @param {number} last
 * @param {(day: number, amount: number) => void} visit
 */
function eachDay({ first: start, amounts, offsets }, first, last, visit) {
  if (offsets) {
    offsets.forEach((offset, index) => {
      if (start + offset >= first && start + offset <= last) visit(start + offset, amounts[index]);
    });
    return;
  }
  const end = Math.min(last - start, amounts.length - 1);
  for (let index = Math.max(first - start, 0); index <= end; index += 1) visit(start + index, amounts[index]);
}

/**
 * Returns the sum of a series in billionths.
 * @param {Series} series
 * @param {number} first
 * @param {number} last
 */
function sumOf(series, first, last) {
  let sum = 0;
  eachDay(series, first, last, (_, amount) => { sum += amount; });
  return sum;
}

/**
 * Returns whether a series has an amount other than zero.
 * @param {Series} series
 * @param {number} first
 * @param {number} last
 */
function hasSpend(series, first, last) {
  let found = false;
  eachDay(series, first, last, (_, amount) => { found ||= amount !== 0; });
  return found;
}

/**
 * Returns the sum of all series in US dollars.
 * @param {Series[]} all
 * @param {number} first
 * @param {number} last
 */
function totalOf(all, first, last) {
  let sum = 0;
  for (const series of all) sum += sumOf(series, first, last);
  return sum / BILLIONTHS_PER_DOLLAR;
}

/**
 * Returns the sum of the provisional days in US dollars.
 * @param {ReportData} report
 * @param {Series[]} all
 * @param {number} first
 * @param {number} last
 */
function provisionalTotalOf(report, all, first, last) {
  let sum = 0;
  for (const series of all) {
    eachDay(series, first, last, (day, amount) => { if (report.isProvisional(series.organization, day)) sum += amount; });
  }
  return sum / BILLIONTHS_PER_DOLLAR;
}

/**
 * Returns pairs of a dimension's index and its sum in US dollars, largest sum first, without sums of zero.
 * @param {Series[]} all
 * @param {Dimension} dimension
 * @param {number} first
 * @param {number} last
 * @returns {[number | null, number][]}
 */
function totalsBy(all, dimension, first, last) {
  /** @type {Map<number | null, number>} */
  const sums = new Map();
  for (const series of all) {
    sums.set(series[dimension], (sums.get(series[dimension]) ?? 0) + sumOf(series, first, last));
  }
  return [...sums].filter(([, sum]) => sum !== 0)
    .map(/** @returns {[number | null, number]} */ ([index, sum]) => [index, sum / BILLIONTHS_PER_DOLLAR])
    .sort((left, right) => right[1] - left[1]);
}

/**
 * Returns the sum of each day from `first` to `last` in US dollars.
 * @param {Series[]} all
 * @param {number} first
 * @param {number} last
 */
function byDay(all, first, last) {
  const days = new Float64Array(Math.max(last - first + 1, 0));
  for (const series of all) {
    eachDay(series, first, last, (day, amount) => { days[day - first] += amount; });
  }
  return days.map((sum) => sum / BILLIONTHS_PER_DOLLAR);
}

/**
 * Divides a range of days into bars: days, weeks that start on Monday, or calendar months.
 * @param {ReportData} report
 * @param {number} first
 * @param {number} last
 * @param {string} unit "day", "week" or "month"
 */
function barsOf(report, first, last, unit) {
  /** @type {Bar[]} */
  const bars = [];
  for (let day = first; day <= last; day += 1) {
    const date = report.dateOf(day);
    const startsBar = unit === "day" || (unit === "week" && new Date(date).getUTCDay() === 1)
      || (unit === "month" && date.endsWith("-01"));
    if (startsBar || !bars.length) bars.push({ label: unit === "month" ? date.slice(0, 7) : date, first: day, last: day });
    bars[bars.length - 1].last = day;
  }
  return bars;
}
