// Charts drawn by Chart.js. Legends, tooltips and the table below each chart name the layers, so that nobody needs
// to distinguish colours.

// The Okabe-Ito palette, which people with colour blindness can distinguish, and three more colours.
const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7b68c8", "#b8a400", "#8c8c8c"];
const MAX_LAYERS = PALETTE.length - 1;  // the last colour is for the sum of all others
/** @type {Map<HTMLCanvasElement, { chart: Chart, configure: () => object }>} */
const drawnCharts = new Map();

/**
 * Returns the current value of a colour variable of the style sheet, in the light or dark theme.
 * @param {string} name
 */
function colour(name) {
  // A canvas does not resolve CSS variables, so a temporary element resolves the colour.
  const probe = element("span", { style: `color: var(--${name})` });
  document.body.append(probe);
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved;
}

/** Destroys the charts whose canvas is no longer on the page, because Chart.js would keep them in memory. */
function destroyDetachedCharts() {
  for (const [canvas, { chart }] of drawnCharts) {
    if (!canvas.isConnected) { chart.destroy(); drawnCharts.delete(canvas); }
  }
}

/**
 * Draws a chart and replaces an older chart on the same canvas.
 * @param {HTMLCanvasElement} canvas
 * @param {() => object} configure Returns the configuration in the colours of the current theme.
 */
function draw(canvas, configure) {
  drawnCharts.get(canvas)?.chart.destroy();
  drawnCharts.set(canvas, { configure, chart: new Chart(canvas, configure()) });
}

/** Redraws all charts in the colours of the current theme. */
function recolour() {
  for (const [canvas, { configure }] of [...drawnCharts]) draw(canvas, configure);
}

/**
 * @param {boolean} stacked
 * @param {string} unit The length of a bar: "day", "week" or "month".
 */
function axes(stacked, unit) {
  const ticks = { color: colour("quiet") }, grid = { color: colour("grid") };
  const title = { display: true, text: `US dollars per ${unit}`, color: colour("quiet") };
  return {
    x: { stacked, ticks: { ...ticks, maxRotation: 0, autoSkipPadding: 16 }, grid: { display: false } },
    y: { stacked, title, ticks: { ...ticks, callback: roughDollars }, grid, beginAtZero: true },
  };
}

/**
 * Returns a Chart.js plugin that shades bars with missing days. A missing day is not a day without spend.
 * @param {boolean[]} missing
 */
function missingDaysPlugin(missing) {
  return {
    id: "missing",
    /** @param {{ ctx: CanvasRenderingContext2D, chartArea: { top: number, width: number, height: number }, scales: any }} chart */
    beforeDatasetsDraw({ ctx, chartArea, scales: { x } }) {
      const width = chartArea.width / Math.max(missing.length, 1);
      ctx.fillStyle = colour("missing");
      missing.forEach((isMissing, bar) => {
        if (isMissing) ctx.fillRect(x.getPixelForValue(bar) - width / 2, chartArea.top, width, chartArea.height);
      });
    },
  };
}

/**
 * Draws stacked bars. Provisional bars are pale, and bars with missing days are shaded.
 * @param {HTMLCanvasElement} canvas
 * @param {string} unit The length of a bar: "day", "week" or "month".
 * @param {Bar[]} bars
 * @param {Layer[]} layers
 * @param {boolean[]} provisional
 * @param {boolean[]} missing
 */
function drawStackedBars(canvas, unit, bars, layers, provisional, missing) {
  const datasets = layers.map(({ name, amounts }, index) => ({
    label: name,
    data: amounts,
    backgroundColor: bars.map((_, bar) => PALETTE[index % PALETTE.length] + (provisional[bar] ? "88" : "ff")),
    borderWidth: 0,
    barPercentage: 1,
    categoryPercentage: bars.length > 60 ? 1 : 0.85,
  }));
  /** @param {{ raw: number }[]} items */
  const total = (items) => dollars(items.reduce((sum, item) => sum + item.raw, 0));
  /** @param {number} bar */
  const remarks = (bar) => (provisional[bar] ? ", provisional" : "") + (missing[bar] ? ", incomplete" : "");
  draw(canvas, () => ({
    type: "bar",
    plugins: [missingDaysPlugin(missing)],
    data: { labels: bars.map((bar) => bar.label), datasets },
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, scales: axes(true, unit),
      interaction: { mode: "index", intersect: false },
      plugins: {
        legend: { position: "bottom", labels: { color: colour("ink"), boxWidth: 12,
          /** @param {any} chart  Without this function, a provisional first bar would make the legend pale. */
          generateLabels: (chart) => datasets.map(({ label }, index) => (
            { text: shortened(label), fillStyle: PALETTE[index % PALETTE.length], strokeStyle: "transparent", datasetIndex: index,
              hidden: !chart.isDatasetVisible(index), fontColor: colour("ink") })) } },
        tooltip: {
          /** @param {{ raw: number }} left @param {{ raw: number }} right */
          itemSort: (left, right) => right.raw - left.raw,
          /** @param {{ raw: number }} item */
          filter: (item) => item.raw !== 0,
          callbacks: {
            /** @param {{ dataset: { label: string }, raw: number }} item */
            label: (item) => `${item.dataset.label}: ${dollars(item.raw)}`,
            /** @param {{ raw: number, dataIndex: number }[]} items */
            footer: (items) => `Total: ${total(items)}${items.length ? remarks(items[0].dataIndex) : ""}`,
          },
        },
      },
    },
  }));
}

/**
 * Draws the days around an anomaly. Anomalous days have another colour and show their usual range.
 * @param {HTMLCanvasElement} canvas
 * @param {{ label: string, amount: number }[]} days
 * @param {Map<string, { lower: number, upper: number } | null>} anomalies The usual range of each anomalous day.
 */
function drawAnomalyBars(canvas, days, anomalies) {
  const ranges = days.map(({ label }) => { const range = anomalies.get(label); return range ? [range.lower, range.upper] : null; });
  draw(canvas, () => ({
    type: "bar",
    data: {
      labels: days.map((day) => day.label),
      datasets: [
        { label: "spend", data: days.map((day) => day.amount), grouped: false, order: 2,
          backgroundColor: days.map((day) => (anomalies.has(day.label) ? colour("up") : colour("bar"))) },
        { label: "usual range", data: ranges, grouped: false, order: 1, barPercentage: 0.35, backgroundColor: colour("accent") },
      ],
    },
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, scales: axes(false, "day"),
      plugins: {
        legend: { position: "bottom", labels: { color: colour("ink"), boxWidth: 12,
          generateLabels: () => [["daily spend", "bar"], ["anomaly", "up"], ["usual range", "accent"]].map(
            ([text, name]) => ({ text, fillStyle: colour(name), strokeStyle: "transparent", fontColor: colour("ink") })) },
          onClick: null },
        tooltip: { callbacks: {
          /** @param {{ dataset: { label: string }, raw: number | [number, number] }} item */
          label: ({ dataset, raw }) => (
            Array.isArray(raw) ? `usual range: ${dollars(raw[0])} to ${dollars(raw[1])}` : `${dataset.label}: ${dollars(raw)}`),
        } },
      },
    },
  }));
}
