// Charts of pages: a cross-hair by pointer and arrow keys, values read out, a mark, files.

const STEPS = 150;
const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "font", "text-anchor", "paint-order", "transform", "display"];
const known = new WeakMap();

/** Return the chart around an element, null outside of one. */
export function chartOf(element) {
  const figure = element.closest?.("figure.chart[data-chart]");
  if (figure && !known.has(figure)) {
    const drawing = figure.querySelector(".drawing");
    const svgs = [...drawing.querySelectorAll(".panel")];
    known.set(figure, { ...JSON.parse(figure.dataset.chart), figure, drawing, svgs, at: null, row: -1, mark: null });
  }
  return figure && known.get(figure);
}

export function valueAt({ svgs, x }, clientX) {
  const { left, width } = svgs[0].querySelector(".frame").getBoundingClientRect();
  return x[0] + Math.min(1, Math.max(0, (clientX - left) / width)) * (x[1] - x[0]);
}

const across = ({ x }, at) => `${(100 * (at - x[0])) / (x[1] - x[0])}%`;

export function add(parent, name, attributes, text = "") {
  const made = parent.appendChild(document.createElementNS("http://www.w3.org/2000/svg", name));
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

/** Return the value of a series in force at x, or nearest to it; null in a gap. */
function inForce(chart, { t, v, hold }, at) {
  const x = at - chart.x[0];
  const next = t.findIndex((one) => one > x);
  let row = next < 0 ? t.length - 1 : next - 1;
  if (!chart.zone && next >= 0 && (row < 0 || t[next] - x < x - t[row])) row = next;
  return row < 0 || (hold !== null && x - t[row] > hold) ? null : v[row];
}

const number = ({ language }, value, unit) => (unit === "share"
  ? value.toLocaleString(language, { style: "percent", maximumFractionDigits: 1 })
  : value.toLocaleString(language, { maximumSignificantDigits: 5 }) + (unit && ` ${unit}`));

function place(chart, at) {
  const { x, xTitle, xUnit, zone, language } = chart;
  if (!zone) return `${xTitle}: ${number(chart, at, xUnit)}`;
  const parts = x[1] - x[0] > 8.64e7 ? { dateStyle: "medium", timeStyle: "short" } : { timeStyle: "medium" };
  return new Date(at).toLocaleString(language, { timeZone: zone, hourCycle: "h23", ...parts });
}

/** Return the values of a panel at x; of the first one also its distance from the mark. */
function written(chart, { series, unit }, at) {
  return series.map((one, n) => {
    const value = inForce(chart, one, at);
    if (value === null) return n ? "" : chart.none;
    const before = chart.mark === null || n ? null : inForce(chart, one, chart.mark);
    const since = before === null ? "" : ` (${value < before ? "−" : "+"}${number(chart, Math.abs(value - before), unit)} ${chart.since})`;
    return (n ? `${one.name} ` : "") + number(chart, value, unit) + since;
  }).filter(Boolean).join(" · ");
}

/** Draw the cross-hair and write the values; `aloud`: also read them out. */
function show(chart, aloud = false) {
  const { drawing, figure, svgs, panels, at, mark, row } = chart;
  const output = figure.querySelector("output");
  const words = [panels[0].rows[row]?.join(": ") ?? ""];
  output.setAttribute("aria-live", aloud ? "polite" : "off");
  drawing.querySelectorAll(".hair, .hair-dot, .readout").forEach((one) => one.remove());
  if (at !== null) words[0] = place(chart, at);
  svgs.forEach((svg, n) => {
    const { title, y, series } = panels[n];
    const line = (look, x) => add(svg, "line", { class: look, x1: across(chart, x), x2: across(chart, x), y2: "100%" });
    if (mark !== null) line("hair mark", mark);
    if (at === null || panels[n].rows.length) return;
    line("hair", at);
    for (const one of series) {
      const value = inForce(chart, one, at);
      const cy = `${(100 * (y[1] - value)) / (y[1] - y[0])}%`;
      if (value !== null && value >= y[0] && value <= y[1]) add(svg, "circle", { class: "hair-dot", r: 4, cx: across(chart, at), cy });
    }
    const text = written(chart, panels[n], at);
    add(svg, "text", { class: "readout", x: "100%", y: -11 }, n ? text : `${words[0]}  ${text}`);
    words.push(`${title} ${text}`);
  });
  output.textContent = words.join("; ");
}

export function setMark(chart, at) {
  chart.mark = at;
  show(chart);
}

const timesOf = (series) => [...new Set(series.flatMap(({ t }) => t))].sort((a, b) => a - b);

/** Move to the next value, or by a tenth of the width. */
function step(chart, direction, far) {
  const { x, at, panels, row } = chart;
  chart.row = Math.min(panels[0].rows.length - 1, Math.max(0, row + direction));
  const times = timesOf(panels.flatMap(({ series }) => series));
  const ordered = direction > 0 ? times : times.reverse();
  const least = (x[1] - x[0]) / (far ? 10 : STEPS);
  const next = at === null ? ordered[0] : ordered.find((t) => direction * (t - (at - x[0])) >= least) ?? ordered.at(-1);
  if (next !== undefined) chart.at = x[0] + next;
}

/** Return the picture as it is seen. */
function picture({ drawing }) {
  const style = getComputedStyle(drawing);
  const [left, right] = [style.paddingLeft, style.paddingRight].map(parseFloat);
  const { width } = drawing.getBoundingClientRect();
  const copy = drawing.cloneNode(true);
  const seen = drawing.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((one, n) => {
    for (const name of STYLES) one.style.setProperty(name, getComputedStyle(seen[n])[name]);
  });
  const height = drawing.getAttribute("height");
  const outer = add(document.createElement("p"), "svg", { width, height });
  add(outer, "rect", { width, height, fill: getComputedStyle(document.body).backgroundColor });
  const inner = add(outer, "svg", { x: left, width: width - left - right, height, overflow: "visible" });
  inner.append(...copy.childNodes);
  return new XMLSerializer().serializeToString(outer);
}

/** Return the numbers with a decimal point, times in UTC. */
function table({ x, xTitle, zone, panels }) {
  const columns = panels.flatMap(({ series, title }) => series.map((one, n) => ({ ...one, title: n ? `${title}: ${one.name}` : title })));
  const values = columns.map(({ t, v }) => new Map(t.map((time, n) => [time, v[n]])));
  const rows = timesOf(columns).map((t) => [zone ? new Date(x[0] + t).toISOString() : x[0] + t, ...values.map((one) => one.get(t) ?? "")]);
  const head = columns.length ? [[zone ? "time" : xTitle, ...columns.map(({ title }) => title)]] : [];
  const lines = [...panels.flatMap((panel) => panel.rows), ...head, ...rows];
  return lines.map((line) => line.map((cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")).join("\n");
}

document.addEventListener("pointermove", (event) => {
  const chart = event.target.closest?.(".drawing") && chartOf(event.target);
  if (!chart) return;
  chart.at = valueAt(chart, event.clientX);
  show(chart);
});

document.addEventListener("pointerout", (event) => {
  const chart = chartOf(event.target);
  if (!chart || chart.drawing.contains(event.relatedTarget) || event.pointerType === "touch") return;
  chart.at = null;
  show(chart);
});

document.addEventListener("keydown", (event) => {
  const chart = event.target.matches?.(".drawing") && chartOf(event.target);
  const move = { ArrowRight: [1], ArrowDown: [1], ArrowLeft: [-1], ArrowUp: [-1], PageDown: [1, true], PageUp: [-1, true], Escape: [] }[event.key];
  if (!chart || !move || event.ctrlKey || event.altKey) return;
  event.preventDefault();
  if (move.length) step(chart, ...move);
  else Object.assign(chart, { at: null, row: -1 });
  show(chart, true);
});

document.addEventListener("click", (event) => {
  const kind = event.target.closest?.("[data-save]")?.dataset.save;
  if (!kind) return;
  const chart = chartOf(event.target);
  const [content, type] = kind === "svg" ? [picture(chart), "image/svg+xml"] : [table(chart), "text/csv"];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = `chart.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});
