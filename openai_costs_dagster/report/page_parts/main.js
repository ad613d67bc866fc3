// The entry point of the page: loads the data, sets up the filters, and redraws the sections when a filter changes.

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
  markWideTables();
}

/** Marks tables that are wider than their section, so that they show a scroll bar and the keyboard can scroll them. */
function markWideTables() {
  for (const scrollable of document.querySelectorAll(".scroll")) {
    const isWide = scrollable.scrollWidth > scrollable.clientWidth;
    scrollable.classList.toggle("wide", isWide);
    const attributes = { tabindex: "0", role: "region", "aria-label": scrollable.querySelector("caption")?.textContent ?? "Table" };
    for (const [name, value] of Object.entries(attributes)) {
      if (isWide) scrollable.setAttribute(name, value); else scrollable.removeAttribute(name);
    }
  }
}

/** Marks wide tables again when the window, the zoom or a table that a user opens changes their size. */
function watchTableSizes() {
  // The mark changes the height of the observed element, which a browser reports as an error within the same frame.
  const observer = new ResizeObserver(() => requestAnimationFrame(markWideTables));
  for (const scrollable of document.querySelectorAll(".scroll")) observer.observe(scrollable);
}

/** Moves the focus to the main content without changing the URL's fragment, which contains the filters. */
function setUpSkipLink() {
  /** @type {HTMLElement} */ (document.querySelector("a.skip")).addEventListener("click", (event) => {
    event.preventDefault();
    byId("content").focus();
  });
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

/** Prints the page in the light theme, with the largest anomalies open. After printing, the page is as before. */
function setUpPrinting() {
  const root = document.documentElement;
  /** @type {string | undefined} */
  let themeBefore;
  /** @type {AnomalyElement[]} */
  let openedForPrint = [];
  addEventListener("beforeprint", () => {
    themeBefore = root.dataset.theme;
    root.dataset.theme = "light";
    root.dataset.printing = "";
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
    delete root.dataset.printing;
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
  setUpSkipLink();
  showAll(report, filters);
  watchTableSizes();
  document.documentElement.dataset.ready = "";  // for tests that wait until the page is complete
}

main().catch((error) => {
  byId("shown").textContent = `This page cannot be shown (${error.message}). Open it in a browser from 2023 or later.`;
  throw error;
});
