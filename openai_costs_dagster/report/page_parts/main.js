// Begins, and draws anew whatever depends on what was changed.

function showAll(report, filters) {
  const chosen = report.series.filter((series) => filters.matches(series));
  sayWhatIsShown(report, filters);
  showTotals(report, filters, chosen);
  showDays(report, filters, chosen);
  showMonth(report, filters);
  showMovers(report, filters);
  showAnomalies(report, filters);
  showPeople(report, filters, chosen);
  showUnitCosts(report, filters);
  showFreshness(report, filters);
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
}

function setUpTheme(redraw) {
  const button = document.getElementById("theme"), root = document.documentElement;
  const isDark = () => getComputedStyle(button).getPropertyValue("color-scheme") === "dark"
    || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const tell = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; tell(); redraw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { tell(); redraw(); });
  tell();
}

// On paper everything is light, and the findings that matter most are open.
function setUpPrinting(redraw) {
  const root = document.documentElement;
  let before;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    redraw();
    for (const found of [...document.querySelectorAll(".finding")].slice(0, MOST_ON_PAPER)) {
      found.open = true;
      found.drawChart?.();
    }
  });
  addEventListener("afterprint", () => {
    if (before) root.dataset.theme = before; else delete root.dataset.theme;
    redraw();
  });
}

async function begin() {
  if (!globalThis.DecompressionStream) throw new Error("it cannot unpack its data");
  const [text] = await Promise.all([inflated("data"), loadCharts()]);
  const report = new Report(JSON.parse(text));
  fillComparisons(report);
  const filters = new Filters(report, document.getElementById("filters"), () => showAll(report, filters));
  const redraw = () => showAll(report, filters);
  setUpTheme(redraw);
  setUpPrinting(redraw);
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
