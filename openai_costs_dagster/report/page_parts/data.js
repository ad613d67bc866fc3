// Decompresses the data that the page contains, and gives access to the data. A day is a number, counted from the
// first day of the report.

const BILLIONTHS_PER_DOLLAR = 1e9;
const MS_PER_DAY = 86400000;

/**
 * Decompresses the gzip content, encoded in base64, of a script element.
 * @param {string} id
 */
async function decompress(id) {
  const encoded = (byId(id).textContent ?? "").trim();
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

/** Loads Chart.js as an inline script, because the security policy of the page forbids other scripts. */
async function loadChartJs() {
  const script = document.createElement("script");
  script.textContent = await decompress("charts");
  document.head.append(script);
}

/**
 * Returns whether organizations share the values of a dimension: a model is the same in every organization.
 * @param {Dimension} dimension
 */
const isShared = (dimension) => dimension === "service" || dimension === "model";

/**
 * Gives each item the shortest of its candidate names that no other item has, or the last candidate.
 * @template Key
 * @param {[Key, string[]][]} items Pairs of a key and its candidate names, from short to long.
 * @returns {[Key, string][]}
 */
function distinctNames(items) {
  /** @type {[Key, string][]} */
  let named = items.map(([key, candidates]) => [key, candidates[0]]);
  for (let candidate = 1; candidate < 3; candidate += 1) {
    const counts = new Map();
    for (const [, name] of named) counts.set(name, (counts.get(name) ?? 0) + 1);
    named = named.map(([key, name], index) => {
      const candidates = items[index][1];
      return [key, counts.get(name) > 1 ? candidates[candidate] ?? candidates[candidates.length - 1] : name];
    });
  }
  return named;
}

class ReportData {
  /** @param {SpendReport} data */
  constructor(data) {
    this.data = data;
    this.startMs = Date.parse(data.first_day);
    this.dayCount = this.dayOf(data.last_day) + 1;
    this.titles = new Map(distinctNames(data.organizations.map(
      ({ organization, title }) => [organization, [title, `${title} (${organization})`]])));
    this.displayNames = this.namesWithinOrganizations(data.names);
    /** @type {Series[]} */
    this.series = data.cube.series.map(
      ([organization, project, service, model, user, key, first, amounts, offsets]) => (
        { organization, project, service, model, user, key, first, amounts, offsets }));
    this.organizationIndexes = new Map(data.cube.names.organization.map(([, name], index) => [name, index]));
    this.labels = Object.fromEntries(
      Object.keys(NO_VALUE_LABELS).map((name) => [name, this.labelsOf(/** @type {Dimension} */ (name))]));
    /** @param {IsoDay[]} days */
    const dayNumbers = (days) => new Set(days.map((day) => this.dayOf(day)));
    this.provisionalDays = new Map(Object.entries(data.provisional).map(
      ([organization, days]) => [this.organizationIndexes.get(organization), dayNumbers(days)]));
    this.missingDays = new Map(Object.entries(data.missing).map(([organization, days]) => [organization, dayNumbers(days)]));
  }

  /** @param {IsoDay} text */
  dayOf(text) { return Math.round((Date.parse(text) - this.startMs) / MS_PER_DAY); }

  /** @param {number} day */
  dateOf(day) { return new Date(this.startMs + day * MS_PER_DAY).toISOString().slice(0, 10); }

  /** The first day of the current month. */
  get monthStart() { return `${this.data.last_day.slice(0, 8)}01`; }

  /**
   * Returns the title of an organization.
   * @param {string} organization
   */
  titleOf(organization) { return this.titles.get(organization) ?? organization; }

  /**
   * Returns names by "organization/kind/id". Two things of one organization and kind never have the same name.
   * @param {CurrentName[]} names
   */
  namesWithinOrganizations(names) {
    /** @type {Map<string, [string, string[]][]>} */
    const groups = new Map();
    for (const [organization, kind, id, name] of names) {
      const group = groups.get(`${organization}/${kind}`) ?? [];
      group.push([`${organization}/${kind}/${id}`, [name, `${name} (${id})`]]);
      groups.set(`${organization}/${kind}`, group);
    }
    return new Map([...groups.values()].flatMap(distinctNames));
  }

  /**
   * Returns the label of each value of a dimension by its index. A label contains the organization's title if two
   * organizations have the same label, or always with `withOrganization`.
   * @param {Dimension} dimension
   */
  labelsOf(dimension, withOrganization = false) {
    return new Map(distinctNames(this.data.cube.names[dimension].map(
      /** @returns {[number, string[]]} */
      ([organization, id], index) => {
        const name = this.name(dimension, organization, id);
        if (isShared(dimension) || dimension === "organization") return [index, [name]];
        const qualified = `${name} · ${this.titleOf(organization)}`;
        return [index, withOrganization ? [qualified] : [name, qualified]];
      })));
  }

  /**
   * Returns the index of a dimension's value, or -1 if the report has no spend of it.
   * @param {Dimension} dimension
   * @param {string} organization
   * @param {string} value
   */
  indexOf(dimension, organization, value) {
    return this.data.cube.names[dimension].findIndex(
      ([owner, id]) => id === value && (isShared(dimension) || owner === organization));
  }

  /**
   * @param {Dimension} dimension
   * @param {number | null} index
   */
  labelOf(dimension, index) { return index === null ? NO_VALUE_LABELS[dimension] : this.labels[dimension].get(index) ?? ""; }

  /**
   * Returns the display name of a value, unique within its organization, or the id if no name is known.
   * @param {Dimension} dimension
   * @param {string} organization
   * @param {string | null} id
   * @returns {string}
   */
  name(dimension, organization, id) {
    if (id === null) return NO_VALUE_LABELS[dimension];
    if (dimension === "organization") return this.titleOf(id);
    const kind = dimension === "key" ? "api_key" : dimension;
    return this.displayNames.get(`${organization}/${kind}/${id}`) ?? id;
  }

  /**
   * Returns whether a day of at least one of the organizations is not stored.
   * @param {string[]} organizations
   * @param {number} day
   */
  isMissing(organizations, day) { return organizations.some((name) => this.missingDays.get(name)?.has(day)); }

  /**
   * @param {number | null} organizationIndex
   * @param {number} day
   */
  isProvisional(organizationIndex, day) { return this.provisionalDays.get(organizationIndex ?? -1)?.has(day) ?? false; }
}
