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

// Whether a dimension's values are the same things in all organizations.
const isShared = (dimension) => dimension === "service" || dimension === "model";

// Of several names of each thing, from short to long, the first one that is no other thing's, or the last: pairs.
function distinct(things) {
  let found = things.map(([thing, [name]]) => [thing, name]);
  for (let length = 1; length < 3; length += 1) {
    const counts = new Map();
    for (const [, name] of found) counts.set(name, (counts.get(name) ?? 0) + 1);
    found = found.map(([thing, name], place) => (
      [thing, counts.get(name) > 1 ? things[place][1][length] ?? things[place][1].at(-1) : name]));
  }
  return found;
}

class Report {
  constructor(content) {
    Object.assign(this, content);
    this.start = Date.parse(content.first_day);
    this.count = this.dayOf(content.last_day) + 1;
    this.titles = new Map(distinct(content.organizations.map(
      ({ organization, title }) => [organization, [title, `${title} (${organization})`]])));
    this.called = this.namesWithin(content.names);
    this.series = content.cube.series.map(([organization, project, service, model, user, key, first, amounts, later]) => (
      { organization, project, service, model, user, key, first, amounts, later }));
    this.owners = new Map(this.cube.names.organization.map(([, name], place) => [name, place]));
    this.labels = Object.fromEntries(Object.keys(NOTHING).map((dimension) => [dimension, this.labelsOf(dimension)]));
    const daysOf = (days) => new Set(days.map((day) => this.dayOf(day)));
    this.provisionalDays = new Map(Object.entries(content.provisional).map(
      ([owner, days]) => [this.owners.get(owner), daysOf(days)]));
    this.missingDays = new Map(Object.entries(content.missing).map(([owner, days]) => [owner, daysOf(days)]));
  }

  dayOf(text) { return Math.round((Date.parse(text) - this.start) / ONE_DAY); }

  dateOf(day) { return new Date(this.start + day * ONE_DAY).toISOString().slice(0, 10); }

  // What projects, users and keys are called, by owner, kind and id: no two the same within an organization.
  namesWithin(names) {
    const groups = new Map();
    for (const [owner, kind, id, name] of names) {
      const group = groups.get(`${owner}/${kind}`) ?? groups.set(`${owner}/${kind}`, []).get(`${owner}/${kind}`);
      group.push([`${owner}/${kind}/${id}`, [name, `${name} (${id})`]]);
    }
    return new Map([...groups.values()].flatMap(distinct));
  }

  // What a dimension's values are called among those of all organizations; with the owner of each, or only where two
  // would have the same name.
  labelsOf(dimension, withOwner = false) {
    return new Map(distinct(this.cube.names[dimension].map(([owner, id], place) => {
      const name = this.name(dimension, owner, id);
      if (isShared(dimension) || dimension === "organization") return [place, [name]];
      const owned = `${name} · ${this.titles.get(owner) ?? owner}`;
      return [place, withOwner ? [owned] : [name, owned]];
    })));
  }

  // The place of a dimension's value, or -1 where no spend on the page has it.
  placeOf(dimension, owner, value) {
    return this.cube.names[dimension].findIndex(([its, id]) => id === value && (isShared(dimension) || its === owner));
  }

  nameOf(dimension, place) { return place === null ? NOTHING[dimension] : this.labels[dimension].get(place); }

  // A name for people that is the only such one of its organization; the id where nobody knows a better one.
  name(dimension, owner, id) {
    if (id === null) return NOTHING[dimension];
    if (dimension === "organization") return this.titles.get(id) ?? id;
    const kind = dimension === "key" ? "api_key" : dimension;
    return this.called.get(`${owner}/${kind}/${id}`) ?? id;
  }

  // Whether a day of one of some organizations, by name, is not stored.
  isMissing(owners, day) { return owners.some((owner) => this.missingDays.get(owner)?.has(day)); }

  isProvisional(organization, day) { return this.provisionalDays.get(organization)?.has(day) ?? false; }
}
