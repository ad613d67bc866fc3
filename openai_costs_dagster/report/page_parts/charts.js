// Charts by Chart.js, in the page's own colours. Told apart without colour too: by legend, tooltip and the table below.

const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7b68c8", "#b8a400", "#8c8c8c"];
const MOST_LAYERS = PALETTE.length - 1;
const drawn = new Map();

// What a colour of the style sheet is now, light or dark.
function colour(name) {
  const probe = element("span", { style: `color: var(--${name})` });
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

// Charts of what was taken off the page.
function forgetOldCharts() {
  for (const [canvas, { chart }] of drawn) {
    if (!canvas.isConnected) { chart.destroy(); drawn.delete(canvas); }
  }
}

function draw(canvas, configure) {
  drawn.get(canvas)?.chart.destroy();
  drawn.set(canvas, { configure, chart: new Chart(canvas, configure()) });
}

// The same charts in the colours of now.
function recolour() {
  for (const [canvas, { configure }] of [...drawn]) draw(canvas, configure);
}

function axes(stacked) {
  const ticks = { color: colour("quiet") }, grid = { color: colour("grid") };
  return {
    x: { stacked, ticks: { ...ticks, maxRotation: 0, autoSkipPadding: 16 }, grid: { display: false } },
    y: { stacked, ticks: { ...ticks, callback: roughDollars }, grid, beginAtZero: true },
  };
}

// Marks the places of bars whose days were not read: nothing there is not the same as no spend.
function marksOf(missing) {
  return {
    id: "missing",
    beforeDatasetsDraw({ ctx, chartArea, scales: { x } }) {
      const width = chartArea.width / Math.max(missing.length, 1);
      ctx.fillStyle = colour("missing");
      missing.forEach((isMissing, bar) => {
        if (isMissing) ctx.fillRect(x.getPixelForValue(bar) - width / 2, chartArea.top, width, chartArea.height);
      });
    },
  };
}

// Bars of layers, each with a name and dollars by bar; pale where a bar is provisional, marked where days are missing.
function stackedBars(canvas, bars, layers, provisional, missing) {
  const datasets = layers.map(({ name, amounts }, place) => ({
    label: name,
    data: amounts,
    backgroundColor: bars.map((_, bar) => PALETTE[place % PALETTE.length] + (provisional[bar] ? "88" : "ff")),
    borderWidth: 0,
    barPercentage: 1,
    categoryPercentage: bars.length > 60 ? 1 : 0.85,
  }));
  const total = (items) => dollars(items.reduce((sum, item) => sum + item.raw, 0));
  const remarks = (bar) => (provisional[bar] ? ", provisional" : "") + (missing[bar] ? ", not all of it was read" : "");
  draw(canvas, () => ({
    type: "bar",
    plugins: [marksOf(missing)],
    data: { labels: bars.map((bar) => bar.label), datasets },
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, scales: axes(true),
      interaction: { mode: "index", intersect: false },
      plugins: {
        legend: { position: "bottom", labels: { color: colour("ink"), boxWidth: 12,
          generateLabels: (chart) => chart.data.datasets.map(({ label }, place) => (
            { text: shortened(label), fillStyle: PALETTE[place % PALETTE.length], strokeStyle: "transparent", datasetIndex: place,
              hidden: !chart.isDatasetVisible(place), fontColor: colour("ink") })) } },
        tooltip: {
          itemSort: (one, other) => other.raw - one.raw,
          filter: (item) => item.raw !== 0,
          callbacks: {
            label: (item) => `${item.dataset.label}: ${dollars(item.raw)}`,
            footer: (items) => `Total: ${total(items)}${remarks(items[0]?.dataIndex)}`,
          },
        },
      },
    },
  }));
}

// A series' days, the ones that were found in another colour with the range that was usual beside them.
function findingBars(canvas, days, found) {
  const ranges = days.map(({ label }) => { const one = found.get(label); return one ? [one.lower, one.upper] : null; });
  draw(canvas, () => ({
    type: "bar",
    data: {
      labels: days.map((day) => day.label),
      datasets: [
        { label: "spend", data: days.map((day) => day.amount), grouped: false, order: 2,
          backgroundColor: days.map((day) => (found.has(day.label) ? colour("up") : colour("bar"))) },
        { label: "usual", data: ranges, grouped: false, order: 1, barPercentage: 0.35, backgroundColor: colour("accent") },
      ],
    },
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, scales: axes(false),
      plugins: {
        legend: { position: "bottom", labels: { color: colour("ink"), boxWidth: 12,
          generateLabels: () => [["a day's spend", "bar"], ["found", "up"], ["what was usual", "accent"]].map(
            ([text, name]) => ({ text, fillStyle: colour(name), strokeStyle: "transparent", fontColor: colour("ink") })) },
          onClick: null },
        tooltip: { callbacks: { label: ({ dataset, raw }) => (
          Array.isArray(raw) ? `usual: ${dollars(raw[0])} to ${dollars(raw[1])}` : `${dataset.label}: ${dollars(raw)}`) } },
      },
    },
  }));
}
