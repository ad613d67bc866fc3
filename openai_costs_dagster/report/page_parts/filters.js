// What is asked for: kept in the form, and in the page's address so that a view can be sent to someone.

const ASKED = ["organization", "project", "model", "user"];
const FINE = ASKED.slice(1);
const ABSENT = -1;  // the place of what is asked for and is not there

class Filters {
  constructor(report, form, changed) {
    this.report = report;
    this.form = form;
    this.absent = {};
    this.fill();
    this.restore();
    document.addEventListener("change", ({ target }) => {  // not all of its fields lie within the form
      if (target.form === form) { this.react(target.name); changed(); }
    });
    addEventListener("hashchange", () => {
      if (location.hash === "#content") return;  // a step within the page
      this.restore();
      changed();
    });
    form.addEventListener("reset", () => setTimeout(() => { this.fill(); this.react("period"); changed(); }));
  }

  value(name) { return this.form.elements[name].value; }

  // The place in the cube of what is chosen; undefined for all, null for nothing, ABSENT for what is not there.
  chosen(name) {
    const value = this.value(name);
    return value === "" ? undefined : value === "-" ? null : Number(value);
  }

  // What is chosen, in the words of the list that it is chosen from.
  nameOfChosen(name) { return this.form.elements[name].selectedOptions[0].textContent; }

  get lacksSomething() { return ASKED.some((name) => this.chosen(name) === ABSENT); }

  get days() {
    const [first, last] = ["first", "last"].map((name) => this.report.dayOf(this.value(name)));
    return { first: Math.max(0, first || 0), last: Math.min(this.report.count - 1, Number.isNaN(last) ? Infinity : last) };
  }

  matches(series) {
    return ASKED.every((name) => {
      const wanted = this.chosen(name);
      return wanted === undefined || series[name] === wanted;
    });
  }

  // What is finer than organizations and asked for: forecasts do not know that.
  get fine() { return FINE.filter((name) => this.value(name) !== ""); }

  // The names of the organizations that are asked for.
  get organizations() { return this.report.organizations.map((one) => one.organization).filter((one) => this.hasOrganization(one)); }

  hasOrganization(name) {
    const wanted = this.chosen("organization");
    if (wanted === ABSENT) return this.absent.organization === `${name}/${name}`;
    return wanted === undefined || this.report.owners.get(name) === wanted;
  }

  // Whether an organization's project, model or user, null for none, is what is asked for.
  agrees(name, organization, id) {
    const wanted = this.chosen(name);
    if (wanted === undefined) return true;
    if (wanted === ABSENT) return this.absent[name] === (id === null ? "-" : `${isShared(name) ? "" : organization}/${id}`);
    return id === null ? wanted === null : this.report.placeOf(name, organization, id) === wanted;
  }

  fill() {
    for (const name of ASKED) this.fillOne(name);
  }

  // Choices of what has spend; of a project or user only those of the chosen organization.
  fillOne(name) {
    const select = this.form.elements[name], before = select.value, owner = this.chosen("organization");
    const within = this.report.series.filter(
      (series) => name === "organization" || owner === undefined || series.organization === owner);
    const places = [...new Set(within.map((series) => series[name]))];
    const labels = this.report.labelsOf(name, owner === undefined && this.report.organizations.length > 1);
    const choices = places.map((place) => (place === null ? ["-", NOTHING[name]] : [String(place), labels.get(place)]));
    choices.sort((one, other) => one[1].localeCompare(other[1]));
    select.replaceChildren(element("option", { value: "" }, "All"),
      ...choices.map(([value, text]) => element("option", { value }, text)));
    select.value = choices.some(([value]) => value === before) ? before : "";
  }

  react(name) {
    if (name === "organization") for (const other of FINE) this.fillOne(other);
    if (name === "first" || name === "last") this.form.elements.period.value = "own";
    if (name === "period") this.setPeriod();
    this.remember();
  }

  setPeriod() {
    const { report } = this, period = this.value("period"), last = report.count - 1, today = report.dateOf(last);
    const month = `${today.slice(0, 8)}01`;
    const before = new Date(Date.parse(month) - ONE_DAY).toISOString().slice(0, 10);
    const ranges = {
      month: [month, today], "last-month": [`${before.slice(0, 8)}01`, before], all: [report.dateOf(0), today],
    };
    const days = Number(period);
    const range = ranges[period] ?? (days ? [report.dateOf(Math.max(0, last - days + 1)), today] : null);
    if (range) [this.form.elements.first.value, this.form.elements.last.value] = range;
    for (const end of ["first", "last"]) {
      this.form.elements[end].min = report.dateOf(0);
      this.form.elements[end].max = today;
    }
  }

  // Ids rather than places stand in the address: a report of tomorrow has other places.
  remember() {
    const said = new URLSearchParams();
    for (const name of ASKED) {
      const place = this.chosen(name);
      if (place === undefined) continue;
      said.set(name, place === ABSENT ? this.absent[name] : place === null ? "-" : this.report.cube.names[name][place].join("/"));
    }
    for (const name of ["period", "stack", "bar", "comparison"]) said.set(name, this.value(name));
    if (this.value("period") === "own") for (const name of ["first", "last"]) said.set(name, this.value(name));
    history.replaceState(null, "", `#${said}`);
  }

  // What the address does not say is as it was at first.
  restore() {
    const said = new URLSearchParams(location.hash.slice(1));
    for (const name of ["period", "stack", "bar", "comparison"]) {
      const options = [...this.form.elements[name].options], first = options.find((one) => one.defaultSelected) ?? options[0];
      const wanted = options.find((one) => one.value === said.get(name)) ?? first;
      if (wanted) this.form.elements[name].value = wanted.value;
    }
    this.setPeriod();
    for (const name of ["first", "last"]) if (said.get(name)) this.form.elements[name].value = said.get(name);
    for (const name of ASKED) {
      this.fillOne(name);
      this.restoreOne(name, said.get(name));
    }
  }

  // What has no spend here stays chosen: to show everything instead would be to answer another question.
  restoreOne(name, text) {
    const select = this.form.elements[name];
    select.value = "";
    if (!text) return;
    const place = this.report.cube.names[name].findIndex((one) => one.join("/") === text);
    if (text === "-" || place !== ABSENT) select.value = text === "-" ? "-" : String(place);
    if (select.value !== "") return;
    this.absent[name] = text;
    const [owner, ...id] = text.split("/"), known = text === "-" ? NOTHING[name] : this.report.name(name, owner, id.join("/"));
    select.append(element("option", { value: String(ABSENT) }, `${known} (not here)`));
    select.value = String(ABSENT);
  }
}
