// Begins, and draws anew whatever depends on what was changed.

const PARTS = [
  ["shown", sayWhatIsShown], ["totals", showTotals], ["days", showDays], ["month", showMonth], ["movers", showMovers],
  ["anomalies", showAnomalies], ["people", showPeople], ["units", showUnitCosts], ["freshness", showFreshness],
];

// A part that cannot be drawn says so, and keeps no other from it.
function showOrTell(part, showIt) {
  part.querySelector(".failure")?.remove();
  try {
    showIt();
  } catch (error) {
    console.error(error);
    part.append(element("p", { class: "failure warn" }, `This part could not be drawn (${error.message}).`));
  }
}

function showAll(report, filters) {
  const chosen = report.series.filter((series) => filters.matches(series));
  for (const [part, showPart] of PARTS) showOrTell(document.getElementById(part), () => showPart(report, filters, chosen));
  forgetOldCharts();
  letKeysScroll();
}

// What has to be scrolled sideways can be, without a pointer.
function letKeysScroll() {
  for (const part of document.querySelectorAll(".scroll")) {
    if (part.scrollWidth > part.clientWidth) part.tabIndex = 0; else part.removeAttribute("tabindex");
  }
}

function fillComparisons(report) {
  const select = document.querySelector("[name=comparison]");
  select.replaceChildren(...report.comparisons.map(({ name }, place) => element("option", { value: String(place) }, name)));
  select.parentElement.hidden = !report.comparisons.length;
}

function setUpTheme() {
  const button = document.getElementById("theme"), root = document.documentElement;
  const isDark = () => getComputedStyle(button).getPropertyValue("color-scheme") === "dark"
    || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const tell = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; tell(); recolour(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { tell(); recolour(); });
  tell();
}

// On paper everything is light, and the findings that matter most are open.
function setUpPrinting() {
  const root = document.documentElement;
  let before, openedForPaper = [];
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    openedForPaper = [...document.querySelectorAll(".finding")].slice(0, MOST_ON_PAPER).filter((found) => !found.open);
    for (const found of openedForPaper) {
      found.open = true;
      found.drawChart?.();
    }
    recolour();
  });
  addEventListener("afterprint", () => {
    if (before) root.dataset.theme = before; else delete root.dataset.theme;
    for (const found of openedForPaper) found.open = false;
    recolour();
  });
}

async function begin() {
  if (!globalThis.DecompressionStream) throw new Error("it cannot unpack its data");
  const [text] = await Promise.all([inflated("data"), loadCharts()]);
  const report = new Report(JSON.parse(text));
  fillComparisons(report);
  const filters = new Filters(report, document.getElementById("filters"), () => showAll(report, filters));
  const redraw = () => showAll(report, filters);
  setUpTheme();
  setUpPrinting();
  addEventListener("resize", letKeysScroll);
  redraw();
  document.documentElement.dataset.ready = "";
}

// A reader whose browser cannot do this sees a sentence instead of an empty page.
begin().catch((error) => {
  document.getElementById("shown").textContent =
    `This page could not be drawn here (${error.message}): it needs a browser of 2023 or newer.`;
  throw error;
});
