// What lies in the page: compressed JSON. Days are numbers counted from the report's first day; amounts are billionths
// of a dollar until they are shown.

const DOLLAR = 1e9;
const ONE_DAY = 86400000;

async function inflated(id) {
  const letters = document.getElementById(id).textContent.trim();
  const bytes = Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

// The library is a script like this one; it only came compressed.
async function loadCharts() {
  const script = document.createElement("script");
  script.textContent = await inflated("charts");
  document.head.append(script);
}

class Report {
  constructor(content) {
    Object.assign(this, content);
    this.start = Date.parse(content.first_day);
    this.count = this.dayOf(content.last_day) + 1;
    this.called = new Map(content.names.map(([owner, kind, id, name]) => [`${owner}/${kind}/${id}`, name]));
    this.titles = new Map(content.organizations.map((one) => [one.organization, one.title]));
    this.series = content.cube.series.map(([organization, project, service, model, user, key, first, amounts]) => (
      { organization, project, service, model, user, key, first, amounts }));
    this.owners = new Map(this.cube.names.organization.map(([, name], place) => [name, place]));
    this.provisionalDays = new Map(Object.entries(content.provisional).map(
      ([owner, days]) => [this.owners.get(owner), new Set(days.map((day) => this.dayOf(day)))]));
  }

  dayOf(text) { return Math.round((Date.parse(text) - this.start) / ONE_DAY); }

  dateOf(day) { return new Date(this.start + day * ONE_DAY).toISOString().slice(0, 10); }

  // The place of a dimension's value, or undefined where no spend has it.
  placeOf(dimension, owner, value) {
    const shared = dimension === "service" || dimension === "model";
    return this.cube.names[dimension].findIndex(([its, id]) => id === value && (shared || its === owner));
  }

  nameOf(dimension, place) {
    if (place === null) return NOTHING[dimension];
    const [owner, id] = this.cube.names[dimension][place];
    return this.name(dimension, owner, id);
  }

  // A name for people; the id where nobody knows a better one.
  name(dimension, owner, id) {
    if (id === null) return NOTHING[dimension];
    if (dimension === "organization") return this.titles.get(id) ?? id;
    const kind = dimension === "key" ? "api_key" : dimension;
    return this.called.get(`${owner}/${kind}/${id}`) ?? id;
  }

  isProvisional(organization, day) { return this.provisionalDays.get(organization)?.has(day) ?? false; }
}
