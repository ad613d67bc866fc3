// The filters of the page. The URL's fragment contains the selected values, so that a link can share them.

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
    /** @type {string[]} Filters that the last change removed, as text. */
    this.removed = [];
    /** The date field that the user is typing into, or null. */
    this.typedDate = /** @type {string | null} */ (null);
    this.restore();
    // Some fields of the form are outside the form element, so that a listener of the form would miss their events.
    document.addEventListener("change", ({ target }) => {
      const control = /** @type {HTMLInputElement} */ (target);
      if (control.form === form) { this.react(control.name); onChange(); }
    });
    form.addEventListener("focusout", () => { this.typedDate = null; });
    addEventListener("hashchange", () => { this.restore(); onChange(); });
    // The browser resets the fields after the event, so the page reads them in the next task.
    form.addEventListener("reset", () => setTimeout(() => { this.react("period"); onChange(); }));
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

  /** Whether the selected values exist but have no spend in common, which only a link can select. */
  get hasConflict() { return !this.report.series.some((series) => this.matches(series)) && this.report.series.length > 0; }

  /**
   * Returns the values of each filter that have spend together with the values of all other filters.
   * @returns {Record<FilterName, Map<number | null, boolean>>} For each index, whether it has spend in the period.
   */
  offers() {
    const { first, last } = this.days;
    const offers = { organization: new Map(), project: new Map(), model: new Map(), user: new Map() };
    const selected = FILTER_NAMES.map((name) => ({ name, index: this.selectedIndex(name) })).filter(({ index }) => index !== undefined);
    for (const series of this.report.series) {
      const conflicts = selected.filter(({ name, index }) => series[name] !== index);
      if (conflicts.length > 1) continue;
      const isSpent = hasSpend(series, first, last);
      // A filter does not restrict itself: a series that only one filter excludes is still offered by that filter.
      for (const name of conflicts.length ? [conflicts[0].name] : FILTER_NAMES) {
        offers[name].set(series[name], isSpent || (offers[name].get(series[name]) ?? false));
      }
    }
    return offers;
  }

  /** Offers in each filter the values that the other filters allow. */
  fill() {
    const offers = this.offers();
    for (const name of FILTER_NAMES) this.fillOptions(name, offers[name]);
  }

  /**
   * Fills a filter. A selected value stays, even if the other filters exclude it. The filter for organizations also
   * offers excluded organizations: otherwise a chosen project would have to be removed before another organization.
   * @param {FilterName} name
   * @param {Map<number | null, boolean>} offered
   */
  fillOptions(name, offered) {
    const select = this.select(name), before = select.value, selected = this.selectedIndex(name);
    const labels = this.report.labelsOf(name, this.value("organization") === "" && this.report.data.organizations.length > 1);
    const all = [...new Set(this.report.series.map((each) => each[name]))];
    /** @param {(number | null)[]} indexes */
    const options = (indexes) => indexes
      .map((index) => (index === null ? ["-", NO_VALUE_LABELS[name]] : [String(index), labels.get(index) ?? ""]))
      .sort((left, right) => left[1].localeCompare(right[1]))
      .map(([value, text]) => element("option", { value }, text));
    /** @param {string} label @param {(number | null)[]} indexes */
    const group = (label, indexes) => (indexes.length ? [element("optgroup", { label }, ...options(indexes))] : []);
    const indexes = [...offered.keys()];
    select.replaceChildren(element("option", { value: "" }, "All"),
      ...options(indexes.filter((index) => offered.get(index))),
      ...group("No spend in the period", indexes.filter((index) => !offered.get(index))),
      ...name === "organization" ? group("Removes other filters", all.filter((index) => !offered.has(index) && index !== selected)) : []);
    if (selected !== undefined && !offered.has(selected)) {
      const text = selected === NOT_IN_REPORT ? `${this.absentLabel(name)} (not in this report)`
        : `${selected === null ? NO_VALUE_LABELS[name] : labels.get(selected)} (no spend with the other filters)`;
      select.append(element("option", { value: before }, text));
    }
    select.value = before;
    const count = /** @type {HTMLElement} */ (select.parentElement?.querySelector(".offered"));
    count.textContent = offered.size < all.length ? `(${offered.size} of ${all.length})` : "";
  }

  /**
   * Updates the fields that depend on a changed field.
   * @param {string} name
   */
  react(name) {
    this.removed = [];
    if (name === "organization") this.removeConflicts();
    const isDate = name === "first" || name === "last";
    if (isDate) this.control("period").value = "custom";
    if (name === "period") this.setPeriod();
    this.fill();
    // A browser reports a date after each typed digit. A single history entry for all digits lets the Back button undo
    // the whole date.
    this.store(isDate && this.typedDate === name);
    this.typedDate = isDate ? name : null;
  }

  /** Removes the filters that have no spend with the chosen organization, and records them for a message. */
  removeConflicts() {
    if (this.value("organization") === "") return;
    const organization = this.selectedIndex("organization");
    let series = this.report.series.filter((each) => each.organization === organization);
    for (const name of FINE_FILTER_NAMES) {
      const selected = this.selectedIndex(name);
      if (selected === undefined) continue;
      const common = series.filter((each) => each[name] === selected);
      if (common.length) { series = common; continue; }
      this.removed.push(`${name} ${this.selectedText(name)}`);
      this.select(name).value = "";
    }
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

  /**
   * Stores the filters in the URL by id, because the indexes of another day's report differ.
   * @param {boolean} isCorrection Whether the current entry of the history is replaced, instead of a new entry.
   */
  store(isCorrection) {
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
    const fragment = `#${parameters}`;
    if (fragment === location.hash) return;
    try {
      if (isCorrection) history.replaceState(null, "", fragment); else history.pushState(null, "", fragment);
    } catch (error) {
      // Previews of mail and web applications show the page in a frame without an address. Filters work there, links do not.
      if (/** @type {DOMException} */ (error).name !== "SecurityError") throw error;
    }
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
    if (this.value("period") === "custom") {
      this.control("first").value = parameters.get("first") || this.report.dateOf(0);
      this.control("last").value = parameters.get("last") || this.report.data.last_day;
    }
    for (const name of FILTER_NAMES) this.restoreFilter(name, parameters.get(name));
    this.removed = [];
    this.fill();
  }

  /**
   * Selects the value of a link. A value without spend stays selected: showing all spend instead would be misleading.
   * @param {FilterName} name
   * @param {string | null} text "organization/id", or "-" for spend without a value.
   */
  restoreFilter(name, text) {
    const { series, data } = this.report;
    const index = text === "-" ? null : data.cube.names[name].findIndex((pair) => pair.join("/") === text);
    const isInReport = series.some((each) => each[name] === index);
    const value = !text ? "" : !isInReport ? String(NOT_IN_REPORT) : index === null ? "-" : String(index);
    if (text && !isInReport) this.absent[name] = text;
    this.select(name).replaceChildren(element("option", { value }));
    this.select(name).value = value;
  }

  /**
   * Returns the label of a selected value that is not in the report.
   * @param {FilterName} name
   */
  absentLabel(name) {
    const text = this.absent[name] ?? "", [organization, ...id] = text.split("/");
    return text === "-" ? NO_VALUE_LABELS[name] : this.report.name(name, organization, id.join("/"));
  }
}
