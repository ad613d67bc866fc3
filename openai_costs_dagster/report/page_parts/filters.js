// The filters of the page. Their values are stored in the form and in the URL's fragment, so that a view can be shared.

/** @type {FilterName[]} */
const FILTER_NAMES = ["organization", "project", "model", "user"];
const FINE_FILTER_NAMES = FILTER_NAMES.slice(1);  // filters below the level of organizations
const SETTING_NAMES = ["period", "stack", "bar", "comparison"];
const NOT_IN_REPORT = -1;  // index of a value that a link selects and that has no spend in this report

class Filters {
  /**
   * @param {ReportData} report
   * @param {HTMLFormElement} form
   * @param {() => void} onChange
   */
  constructor(report, form, onChange) {
    this.report = report;
    this.form = form;
    /** @type {Partial<Record<FilterName, string>>} The selected values that are not in the report, as in the URL. */
    this.absent = {};
    this.fill();
    this.restore();
    // Some fields of the form are outside the form element, so that a listener of the form would miss their events.
    document.addEventListener("change", ({ target }) => {
      const control = /** @type {HTMLInputElement} */ (target);
      if (control.form === form) { this.react(control.name); onChange(); }
    });
    addEventListener("hashchange", () => {
      if (location.hash === "#content") return;  // the skip link, not a shared view
      this.restore();
      onChange();
    });
    // The browser resets the fields after the event, so the page reads them in the next task.
    form.addEventListener("reset", () => setTimeout(() => { this.fill(); this.react("period"); onChange(); }));
  }

  /** @param {string} name */
  control(name) { return /** @type {HTMLInputElement} */ (this.form.elements.namedItem(name)); }

  /** @param {string} name */
  select(name) { return /** @type {HTMLSelectElement} */ (this.form.elements.namedItem(name)); }

  /** @param {string} name */
  value(name) { return this.control(name).value; }

  /**
   * Returns the index of the selected value in the cube: undefined for all values, null for spend without a value, and
   * NOT_IN_REPORT for a value that has no spend in this report.
   * @param {FilterName} name
   */
  selectedIndex(name) {
    const value = this.value(name);
    return value === "" ? undefined : value === "-" ? null : Number(value);
  }

  /**
   * Returns the text of the selected option.
   * @param {FilterName} name
   */
  selectedText(name) { return this.select(name).selectedOptions[0].textContent; }

  get hasAbsentValue() { return FILTER_NAMES.some((name) => this.selectedIndex(name) === NOT_IN_REPORT); }

  /** The selected first and last day, limited to the days of the report. */
  get days() {
    const [first, last] = ["first", "last"].map((name) => this.report.dayOf(this.value(name)));
    const end = this.report.dayCount - 1;
    return { first: Math.max(0, first || 0), last: Math.min(end, Number.isNaN(last) ? end : last) };
  }

  /** @param {Series} series */
  matches(series) {
    return FILTER_NAMES.every((name) => {
      const selected = this.selectedIndex(name);
      return selected === undefined || series[name] === selected;
    });
  }

  /** The active filters below the level of organizations. Forecasts exist for whole organizations only. */
  get fineFilters() { return FINE_FILTER_NAMES.filter((name) => this.value(name) !== ""); }

  /** The names of the selected organizations. */
  get organizations() {
    return this.report.data.organizations.map(({ organization }) => organization).filter((name) => this.hasOrganization(name));
  }

  /** @param {string} name */
  hasOrganization(name) {
    const selected = this.selectedIndex("organization");
    if (selected === NOT_IN_REPORT) return this.absent.organization === `${name}/${name}`;
    return selected === undefined || this.report.organizationIndexes.get(name) === selected;
  }

  /**
   * Returns whether the filter selects a value of an organization. null stands for spend without a value.
   * @param {FilterName} name
   * @param {string} organization
   * @param {string | null} id
   */
  selects(name, organization, id) {
    const selected = this.selectedIndex(name);
    if (selected === undefined) return true;
    if (selected === NOT_IN_REPORT) {
      return this.absent[name] === (id === null ? "-" : `${isShared(name) ? "" : organization}/${id}`);
    }
    return id === null ? selected === null : this.report.indexOf(name, organization, id) === selected;
  }

  fill() {
    for (const name of FILTER_NAMES) this.fillOptions(name);
  }

  /**
   * Offers the values that have spend, of projects and users only those of the selected organization.
   * @param {FilterName} name
   */
  fillOptions(name) {
    const select = this.select(name), before = select.value, organization = this.selectedIndex("organization");
    const series = this.report.series.filter(
      (each) => name === "organization" || organization === undefined || each.organization === organization);
    const indexes = [...new Set(series.map((each) => each[name]))];
    const labels = this.report.labelsOf(name, organization === undefined && this.report.data.organizations.length > 1);
    const options = indexes.map((index) => (
      index === null ? ["-", NO_VALUE_LABELS[name]] : [String(index), labels.get(index) ?? ""]));
    options.sort((left, right) => left[1].localeCompare(right[1]));
    select.replaceChildren(element("option", { value: "" }, "All"),
      ...options.map(([value, text]) => element("option", { value }, text)));
    select.value = options.some(([value]) => value === before) ? before : "";
  }

  /**
   * Updates the fields that depend on a changed field.
   * @param {string} name
   */
  react(name) {
    if (name === "organization") for (const other of FINE_FILTER_NAMES) this.fillOptions(other);
    if (name === "first" || name === "last") this.control("period").value = "custom";
    if (name === "period") this.setPeriod();
    this.store();
  }

  /** Writes the first and last day of the selected period into the date fields. */
  setPeriod() {
    const { report } = this, period = this.value("period"), last = report.dayCount - 1, today = report.dateOf(last);
    const month = report.monthStart;
    const endOfLastMonth = new Date(Date.parse(month) - MS_PER_DAY).toISOString().slice(0, 10);
    /** @type {Record<string, [IsoDay, IsoDay]>} */
    const ranges = {
      month: [month, today], "last-month": [`${endOfLastMonth.slice(0, 8)}01`, endOfLastMonth], all: [report.dateOf(0), today],
    };
    const days = Number(period);
    const range = ranges[period] ?? (days ? [report.dateOf(Math.max(0, last - days + 1)), today] : null);
    if (range) [this.control("first").value, this.control("last").value] = range;
    for (const end of ["first", "last"]) {
      this.control(end).min = report.dateOf(0);
      this.control(end).max = today;
    }
  }

  /** Stores the filters in the URL by id, because the indexes of another day's report differ. */
  store() {
    const parameters = new URLSearchParams();
    for (const name of FILTER_NAMES) {
      const index = this.selectedIndex(name);
      if (index === undefined) continue;
      const value = index === NOT_IN_REPORT ? this.absent[name] ?? ""
        : index === null ? "-" : this.report.data.cube.names[name][index].join("/");
      parameters.set(name, value);
    }
    for (const name of SETTING_NAMES) parameters.set(name, this.value(name));
    if (this.value("period") === "custom") for (const name of ["first", "last"]) parameters.set(name, this.value(name));
    history.replaceState(null, "", `#${parameters}`);
  }

  /** Restores the filters from the URL. Settings that the URL does not contain get their default value. */
  restore() {
    const parameters = new URLSearchParams(location.hash.slice(1));
    for (const name of SETTING_NAMES) {
      const options = [...this.select(name).options], first = options.find((option) => option.defaultSelected) ?? options[0];
      const option = options.find(({ value }) => value === parameters.get(name)) ?? first;
      if (option) this.select(name).value = option.value;
    }
    this.setPeriod();
    for (const name of ["first", "last"]) this.control(name).value = parameters.get(name) || this.value(name);
    for (const name of FILTER_NAMES) {
      this.fillOptions(name);
      this.restoreFilter(name, parameters.get(name));
    }
  }

  /**
   * Selects the value of a link. A value without spend stays selected: showing all spend instead would be misleading.
   * @param {FilterName} name
   * @param {string | null} text "organization/id", or "-" for spend without a value.
   */
  restoreFilter(name, text) {
    const select = this.select(name);
    select.value = "";
    if (!text) return;
    const index = this.report.data.cube.names[name].findIndex((pair) => pair.join("/") === text);
    if (text === "-" || index !== -1) select.value = text === "-" ? "-" : String(index);
    if (select.value !== "") return;
    this.absent[name] = text;
    const [organization, ...id] = text.split("/");
    const label = text === "-" ? NO_VALUE_LABELS[name] : this.report.name(name, organization, id.join("/"));
    select.append(element("option", { value: String(NOT_IN_REPORT) }, `${label} (not in this report)`));
    select.value = String(NOT_IN_REPORT);
  }
}
