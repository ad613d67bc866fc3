// Elements by hand. Text is only ever set as text: names of projects and users are other people's.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// A table of rows; a column is its heading, how to write a row's cell, and whether it is a number.
function table(caption, columns, rows, foot) {
  const cells = (row, tag) => columns.map(({ write, number }) => {
    const said = write(row);
    return element(tag, { class: number ? "number" : undefined }, ...(Array.isArray(said) ? said : [said]));
  });
  const heads = columns.map(({ head, number }) => element("th", { scope: "col", class: number ? "number" : undefined }, head));
  return element("table", {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...heads)),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row, "td")))),
    foot ? element("tfoot", {}, element("tr", {}, ...foot.map(
      (text, place) => element("td", { class: columns[place].number ? "number" : undefined }, text)))) : null);
}

function show(id, ...children) {
  document.getElementById(id).replaceChildren(...children.filter((child) => child !== null));
}

function say(text) { return element("p", { class: "quiet" }, text); }

function link(report, path, text) {
  return report.dagster_url ? element("a", { href: report.dagster_url.replace(/\/$/, "") + path }, text) : text;
}

// How much of an amount is reached, with a mark where the forecast ends.
function meter(share, forecast, label) {
  const scale = Math.max(1, share, forecast ?? 0);
  const bar = element("span", { class: share >= 1 ? "meter over" : "meter", role: "img", "aria-label": label },
    element("span", { style: `width: ${(100 * Math.max(share, 0)) / scale}%` }));
  if (forecast !== null) bar.append(element("i", { style: `left: ${(100 * Math.min(forecast, scale)) / scale}%` }));
  return bar;
}
