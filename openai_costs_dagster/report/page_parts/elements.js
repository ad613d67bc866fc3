// Creates HTML elements. Names of projects and users are untrusted, so they are inserted as text and never as HTML.

/**
 * Returns the element with an id of the page's template.
 * @param {string} id
 */
function byId(id) { return /** @type {HTMLElement} */ (document.getElementById(id)); }

/**
 * Creates an element. Attributes and children that are null, undefined or false are omitted.
 * @param {string} tag
 * @param {Record<string, string | false | null | undefined>} [attributes]
 * @param {...(string | Node | null | undefined)} children
 */
function element(tag, attributes = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false && value !== null) created.setAttribute(name, value);
  }
  for (const child of children) if (child !== null && child !== undefined) created.append(child);
  return created;
}

/**
 * Creates a table.
 * @template Row
 * @param {string} caption
 * @param {Column<Row>[]} columns
 * @param {Row[]} rows
 * @param {string[]} [foot] The cells of the footer.
 */
function table(caption, columns, rows, foot) {
  /** @param {boolean | undefined} isNumber */
  const attributes = (isNumber) => ({ class: isNumber ? "number" : undefined });
  /** @param {Row} row */
  const cells = (row) => columns.map(({ write, isNumber }) => {
    const content = write(row);
    return element("td", attributes(isNumber), ...(Array.isArray(content) ? content : [content]));
  });
  const heads = columns.map(({ head, isNumber }) => element("th", { scope: "col", ...attributes(isNumber) }, head));
  return element("table", {},
    element("caption", {}, element("span", {}, caption)),
    element("thead", {}, element("tr", {}, ...heads)),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row)))),
    foot ? element("tfoot", {}, element("tr", {}, ...foot.map(
      (text, index) => element("td", attributes(columns[index].isNumber), text)))) : null);
}

/**
 * Replaces the content of an element.
 * @param {string} id
 * @param {...(Node | null)} children
 */
function replaceContent(id, ...children) {
  byId(id).replaceChildren(...children.filter((child) => child !== null));
}

/** @param {string} text */
function note(text) { return element("p", { class: "quiet" }, text); }

/**
 * Returns a link to a page of Dagster's UI, or plain text if the report has no address of Dagster.
 * @param {ReportData} report
 * @param {string} path
 * @param {string} text
 */
function dagsterLink({ data }, path, text) {
  return data.dagster_url ? element("a", { href: data.dagster_url.replace(/\/$/, "") + path }, text) : text;
}

/**
 * Creates a bar that shows the spent share of a budget, with a mark at the forecast. A share of 1 is the whole budget.
 * @param {number} share
 * @param {number | null} forecast
 * @param {string} label
 */
function meter(share, forecast, label) {
  const scale = Math.max(1, share, forecast ?? 0);
  const bar = element("span", { class: share >= 1 ? "meter over" : "meter", role: "img", "aria-label": label },
    element("span", { style: `width: ${(100 * Math.max(share, 0)) / scale}%` }));
  if (forecast !== null) bar.append(element("i", { style: `left: ${(100 * Math.min(forecast, scale)) / scale}%` }));
  return bar;
}
