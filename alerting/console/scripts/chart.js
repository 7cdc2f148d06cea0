// Charts of pages: a cross-hair by pointer and arrow keys, values read out, a mark, and files of a chart.

const NS = "http://www.w3.org/2000/svg";
const STEPS = 150; // of a key from one edge to the other
const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "font", "text-anchor", "paint-order", "transform", "display"];
const known = new WeakMap();

/** Return what is known of the chart around an element: its numbers, panels and place; null outside of one. */
export function chartOf(element) {
  const figure = element.closest?.("figure.chart[data-chart]");
  if (!figure) return null;
  if (!known.has(figure)) {
    const drawing = figure.querySelector(".drawing");
    const panels = [...drawing.querySelectorAll(".panel")];
    const data = JSON.parse(figure.dataset.chart);
    known.set(figure, { ...data, figure, drawing, svgs: panels, at: null, row: null, mark: null });
  }
  return known.get(figure);
}

/** Return the value of x under a place of the window. */
export function valueAt(chart, clientX) {
  const { left, width } = chart.svgs[0].querySelector(".frame").getBoundingClientRect();
  const share = Math.min(1, Math.max(0, (clientX - left) / width));
  return chart.x[0] + share * (chart.x[1] - chart.x[0]);
}

/** Return the last row at or before an instant; -1 before the first. */
function rowAt(times, at) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Return the value of a series that is in force at a place of x; null in a gap. */
function inForce(chart, series, at) {
  const t = at - chart.x[0];
  let row = rowAt(series.t, t);
  if (!chart.zone && row + 1 < series.t.length && (row < 0 || series.t[row + 1] - t < t - series.t[row])) row += 1;
  if (row < 0 || (series.hold !== null && t - series.t[row] > series.hold)) return null;
  return series.v[row];
}

const number = (chart, value, unit, digits = 5) => (unit === "share"
  ? value.toLocaleString(chart.language, { style: "percent", maximumFractionDigits: 1 })
  : `${value.toLocaleString(chart.language, { maximumSignificantDigits: digits })}${unit ? ` ${unit}` : ""}`);

function place(chart, at) {
  if (!chart.zone) return `${chart.xTitle}: ${number(chart, at, chart.xUnit, 3)}`;
  const span = chart.x[1] - chart.x[0];
  const parts = { hour: "2-digit", minute: "2-digit" };
  if (span < 3.6e7) parts.second = "2-digit";
  const day = span > 8.64e7 ? { day: "numeric", month: "short" } : {};
  return new Intl.DateTimeFormat(chart.language, { timeZone: chart.zone, hourCycle: "h23", ...parts, ...day }).format(at);
}

/** Return the text of each panel at a place of x: its values, and how far from the mark. */
function texts(chart, at) {
  return chart.panels.map(({ series, unit }) => series.map((one, n) => {
    const value = inForce(chart, one, at);
    const name = n ? `${one.name} ` : "";
    if (value === null) return n ? "" : chart.none;
    const before = chart.mark === null || n ? null : inForce(chart, one, chart.mark);
    const since = before === null ? "" : ` (${value < before ? "−" : "+"}${number(chart, Math.abs(value - before), unit)} ${chart.since})`;
    return name + number(chart, value, unit) + since;
  }).filter(Boolean).join(" · "));
}

function add(parent, name, attributes, text = "") {
  const made = parent.appendChild(document.createElementNS(NS, name));
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
}

/** Draw the cross-hair where it is now, and write the values; `aloud`: also read them out. */
function show(chart, aloud) {
  const { drawing, svgs, at } = chart;
  drawing.querySelectorAll(".hair, .hair-dot, .readout").forEach((one) => one.remove());
  const output = chart.figure.querySelector("output");
  output.setAttribute("aria-live", aloud ? "polite" : "off");
  const rows = chart.panels[0].rows;
  if (rows.length) {
    output.textContent = chart.row === null ? "" : rows[chart.row].join(": ");
    svgs[0].querySelectorAll(".name").forEach((one, n) => one.setAttribute("font-weight", n === chart.row ? 700 : 400));
    if (chart.row !== null) add(svgs[0], "rect", { class: "hair chosen-time", width: "100%", height: svgs[0].getAttribute("height") / rows.length, y: chart.row * svgs[0].getAttribute("height") / rows.length });
    return;
  }
  const across = (x) => `${(100 * (x - chart.x[0])) / (chart.x[1] - chart.x[0])}%`;
  const lines = at === null ? [] : texts(chart, at);
  svgs.forEach((svg, n) => {
    const height = Number(svg.getAttribute("height"));
    const { y, series } = chart.panels[n];
    if (chart.mark !== null) add(svg, "line", { class: "hair mark", x1: across(chart.mark), x2: across(chart.mark), y2: height });
    if (at === null) return;
    add(svg, "line", { class: "hair", x1: across(at), x2: across(at), y2: height });
    for (const one of series) {
      const value = inForce(chart, one, at);
      if (value !== null) add(svg, "circle", { class: "hair-dot", r: 4, cx: across(at), cy: height * Math.min(1, Math.max(0, (y[1] - value) / (y[1] - y[0]))) });
    }
    add(svg, "text", { class: "readout", x: "100%", y: -11 }, `${n ? "" : `${place(chart, at)}  `}${lines[n]}`);
  });
  output.textContent = at === null ? "" : [place(chart, at), ...lines.map((line, n) => `${chart.panels[n].title} ${line}`)].join("; ");
}

/** Move the cross-hair by one value, or a tenth of the width. */
function step(chart, direction, far) {
  const rows = chart.panels[0].rows.length;
  if (rows) {
    chart.row = Math.min(rows - 1, Math.max(0, (chart.row ?? (direction > 0 ? -1 : rows)) + direction));
    return;
  }
  const [first, last] = chart.x;
  const least = (last - first) / (far ? 10 : STEPS);
  const times = [...new Set(chart.panels.flatMap(({ series }) => series.flatMap(({ t }) => t)))].sort((a, b) => a - b);
  const from = chart.at === null ? (direction > 0 ? -Infinity : Infinity) : chart.at - first;
  const beyond = direction > 0 ? times.find((t) => t >= from + least) : times.findLast((t) => t <= from - least);
  const edge = direction > 0 ? times.at(-1) : times[0];
  if (edge !== undefined) chart.at = first + (beyond ?? edge);
}

export function setMark(chart, at) {
  chart.mark = at;
  show(chart, false);
}

/** Save the picture as it is seen, with all styles in it. */
function picture(chart) {
  const { drawing } = chart;
  const style = getComputedStyle(drawing);
  const [left, right] = [parseFloat(style.paddingLeft), parseFloat(style.paddingRight)];
  const width = drawing.getBoundingClientRect().width;
  const height = Number(drawing.getAttribute("height"));
  const copy = drawing.cloneNode(true);
  const originals = drawing.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((one, n) => {
    const seen = getComputedStyle(originals[n]);
    for (const name of STYLES) if (!(name === "transform" && seen[name] === "none")) one.style.setProperty(name, seen.getPropertyValue(name));
  });
  const outer = document.createElementNS(NS, "svg");
  for (const [key, value] of Object.entries({ width, height, "aria-label": drawing.getAttribute("aria-label") })) outer.setAttribute(key, value);
  add(outer, "rect", { width, height, fill: getComputedStyle(document.body).backgroundColor });
  for (const [key, value] of Object.entries({ x: left, width: width - left - right, overflow: "visible" })) copy.setAttribute(key, value);
  outer.append(copy);
  return new XMLSerializer().serializeToString(outer);
}

/** Return the numbers as a table with a decimal point, times in UTC. */
function table(chart) {
  const quoted = (cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  const rows = chart.panels.flatMap((panel) => panel.rows);
  if (rows.length) return rows.map((row) => row.map(quoted).join(",")).join("\n");
  const columns = chart.panels.flatMap(({ series, unit, title }) => series.map((one, n) => ({ ...one, title: n ? `${title}: ${one.name}${unit ? ` (${unit})` : ""}` : title })));
  const times = [...new Set(columns.flatMap(({ t }) => t))].sort((a, b) => a - b);
  const at = columns.map(({ t, v }) => new Map(t.map((time, n) => [time, v[n]])));
  const lines = times.map((t) => [chart.zone ? new Date(chart.x[0] + t).toISOString() : chart.x[0] + t, ...at.map((values) => values.get(t) ?? "")]);
  return [[chart.zone ? "time" : chart.xTitle, ...columns.map(({ title }) => title)].map(quoted), ...lines].map((row) => row.join(",")).join("\n");
}

function save(chart, kind) {
  const content = kind === "svg" ? picture(chart) : table(chart);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: kind === "svg" ? "image/svg+xml" : "text/csv" }));
  link.download = `${chart.panels[0].title.replace(/[^\p{L}\d]+/gu, "-") || "chart"}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

document.addEventListener("pointermove", (event) => {
  const chart = event.target.closest?.(".drawing") && chartOf(event.target);
  if (!chart) return;
  const rows = chart.panels[0].rows.length;
  const { top, height } = chart.svgs[0].querySelector(".frame").getBoundingClientRect();
  if (rows) chart.row = Math.min(rows - 1, Math.max(0, Math.floor((rows * (event.clientY - top)) / height)));
  else chart.at = valueAt(chart, event.clientX);
  show(chart, false);
});

document.addEventListener("pointerout", (event) => {
  const drawing = event.target.closest?.(".drawing");
  if (!drawing || drawing.contains(event.relatedTarget) || event.pointerType === "touch") return;
  const chart = chartOf(drawing);
  chart.at = chart.row = null;
  show(chart, false);
});

document.addEventListener("keydown", (event) => {
  const chart = event.target.matches?.(".drawing") && chartOf(event.target);
  const move = { ArrowRight: [1], ArrowDown: [1], ArrowLeft: [-1], ArrowUp: [-1], PageDown: [1, true], PageUp: [-1, true] }[event.key];
  const isEnd = ["Home", "End"].includes(event.key);
  if (!chart || event.ctrlKey || event.altKey || !(move || isEnd || event.key === "Escape")) return;
  event.preventDefault();
  if (!move) chart.at = chart.row = null;
  if (move) step(chart, ...move);
  else if (isEnd) step(chart, event.key === "Home" ? 1 : -1);
  show(chart, true);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-save]");
  if (button) save(chartOf(button), button.dataset.save);
});
