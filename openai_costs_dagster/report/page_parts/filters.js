// What is asked for: kept in the form, and in the page's address so that a view can be sent to someone.

const SHARED_BY_ALL = ["service", "model"];

class Filters {
  constructor(report, form, changed) {
    this.report = report;
    this.form = form;
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

  // The place in the cube of what is chosen; undefined for all, null for nothing.
  chosen(name) {
    const value = this.value(name);
    return value === "" ? undefined : value === "-" ? null : Number(value);
  }

  get days() {
    const [first, last] = ["first", "last"].map((name) => this.report.dayOf(this.value(name)));
    return { first: Math.max(0, first || 0), last: Math.min(this.report.count - 1, Number.isNaN(last) ? Infinity : last) };
  }

  matches(series) {
    return ["organization", "project", "model", "user"].every((name) => {
      const wanted = this.chosen(name);
      return wanted === undefined || series[name] === wanted;
    });
  }

  // Whether anything finer than organizations is asked for: forecasts and budgets do not know that.
  get isFine() { return ["project", "model", "user"].some((name) => this.value(name) !== ""); }

  hasOrganization(name) {
    const wanted = this.chosen("organization");
    return wanted === undefined || this.report.owners.get(name) === wanted;
  }

  // Whether an organization's project, model or user, null for none, is what is asked for.
  agrees(name, organization, id) {
    const wanted = this.chosen(name);
    if (wanted === undefined) return true;
    return id === null ? wanted === null : this.report.placeOf(name, organization, id) === wanted;
  }

  fill() {
    for (const name of ["organization", "project", "model", "user"]) this.fillOne(name);
  }

  // Choices of what has spend; of a project or user only those of the chosen organization.
  fillOne(name) {
    const select = this.form.elements[name], before = select.value, owner = this.chosen("organization");
    const within = this.report.series.filter(
      (series) => name === "organization" || owner === undefined || series.organization === owner);
    const places = [...new Set(within.map((series) => series[name]))];
    const severalOwners = name !== "organization" && !SHARED_BY_ALL.includes(name) && owner === undefined
      && this.report.organizations.length > 1;
    const choices = places.map((place) => [place === null ? "-" : String(place), this.choice(name, place, severalOwners)]);
    choices.sort((one, other) => one[1].localeCompare(other[1]));
    select.replaceChildren(element("option", { value: "" }, "All"),
      ...choices.map(([value, text]) => element("option", { value }, text)));
    select.value = choices.some(([value]) => value === before) ? before : "";
  }

  choice(name, place, withOwner) {
    const text = this.report.nameOf(name, place);
    return withOwner && place !== null ? `${text} · ${this.report.cube.names[name][place][0]}` : text;
  }

  react(name) {
    if (name === "organization") for (const other of ["project", "model", "user"]) this.fillOne(other);
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
    for (const name of ["organization", "project", "model", "user"]) {
      const place = this.chosen(name);
      if (place !== undefined) said.set(name, place === null ? "-" : this.report.cube.names[name][place].join("/"));
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
    for (const name of ["organization", "project", "model", "user"]) {
      this.restoreOne(name, said.get(name));
      if (name === "organization") this.fill();
    }
  }

  restoreOne(name, text) {
    this.form.elements[name].value = "";
    if (!text) return;
    const place = this.report.cube.names[name].findIndex((one) => one.join("/") === text);
    this.form.elements[name].value = text === "-" ? "-" : String(place);
    if (this.form.elements[name].selectedIndex < 0) this.form.elements[name].value = "";
  }
}
