// Entry point: loads the data, sets up the controls, and redraws the sections when a filter changes.

/** @type {[string, (report: ReportData, filters: Filters, selected: Series[]) => void][]} */
const SECTIONS = [
  ["shown", showSelection], ["totals", showTotals], ["days", showDays], ["month", showMonth], ["movers", showMovers],
  ["anomalies", showAnomalies], ["people", showPeople], ["units", showUnitCosts], ["freshness", showFreshness],
];

/**
 * Shows a section, or an error message in its place. An error in one section does not affect the others.
 * @param {HTMLElement} section
 * @param {() => void} showIt
 */
function showOrReport(section, showIt) {
  section.querySelector(".failure")?.remove();
  try {
    showIt();
  } catch (error) {
    console.error(error);
    section.append(element("p", { class: "failure warn" },
      `This section could not be shown (${/** @type {Error} */ (error).message}).`));
  }
}

/**
 * @param {ReportData} report
 * @param {Filters} filters
 */
function showAll(report, filters) {
  const selected = report.series.filter((series) => filters.matches(series));
  for (const [id, showSection] of SECTIONS) showOrReport(byId(id), () => showSection(report, filters, selected));
  destroyDetachedCharts();
  makeWideTablesFocusable();
}

/** Makes tables that are wider than the screen focusable, so that the keyboard can scroll them. */
function makeWideTablesFocusable() {
  for (const scrollable of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".scroll"))) {
    if (scrollable.scrollWidth > scrollable.clientWidth) scrollable.tabIndex = 0; else scrollable.removeAttribute("tabindex");
  }
}

/** @param {ReportData} report */
function fillComparisons({ data }) {
  const select = /** @type {HTMLSelectElement} */ (document.querySelector("[name=comparison]"));
  select.replaceChildren(...data.comparisons.map(({ name }, index) => element("option", { value: String(index) }, name)));
  /** @type {HTMLElement} */ (select.parentElement).hidden = !data.comparisons.length;
}

function setUpTheme() {
  const button = byId("theme"), root = document.documentElement, darkSystem = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => getComputedStyle(button).getPropertyValue("color-scheme") === "dark"
    || (!root.dataset.theme && darkSystem.matches);
  const updateButton = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; updateButton(); recolour(); });
  darkSystem.addEventListener("change", () => { updateButton(); recolour(); });
  updateButton();
}

/** Prints in the light theme, with the largest anomalies open. After printing, the page is as before. */
function setUpPrinting() {
  const root = document.documentElement;
  /** @type {string | undefined} */
  let themeBefore;
  /** @type {AnomalyElement[]} */
  let openedForPrint = [];
  addEventListener("beforeprint", () => {
    themeBefore = root.dataset.theme;
    root.dataset.theme = "light";
    openedForPrint = [.../** @type {NodeListOf<AnomalyElement>} */ (document.querySelectorAll(".finding"))]
      .slice(0, MAX_PRINTED_ANOMALIES).filter((details) => !details.open);
    for (const details of openedForPrint) {
      details.open = true;
      details.drawChart?.();
    }
    recolour();
  });
  addEventListener("afterprint", () => {
    if (themeBefore) root.dataset.theme = themeBefore; else delete root.dataset.theme;
    for (const details of openedForPrint) details.open = false;
    recolour();
  });
}

async function main() {
  if (!globalThis.DecompressionStream) throw new Error("DecompressionStream is missing");
  const [text] = await Promise.all([decompress("data"), loadChartJs()]);
  const report = new ReportData(JSON.parse(text));
  fillComparisons(report);
  /** @type {Filters} */
  const filters = new Filters(report, /** @type {HTMLFormElement} */ (byId("filters")), () => showAll(report, filters));
  setUpTheme();
  setUpPrinting();
  addEventListener("resize", makeWideTablesFocusable);
  showAll(report, filters);
  document.documentElement.dataset.ready = "";  // for tests that wait until the page is complete
}

main().catch((error) => {
  byId("shown").textContent = `This page cannot be shown (${error.message}). Open it in a browser from 2023 or later.`;
  throw error;
});
