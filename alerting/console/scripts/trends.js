// The page of a trend: its address says what is shown; zooming changes the address, and the server draws.

import { add, chartOf, setMark, valueAt } from "./chart.js";

const SHORTEST_MS = 1000;
const LONGEST_MS = 366 * 86400000;
const CLICK = 4; // pixels that a pointer may move between down and up
const root = new URL("../", import.meta.url);
const box = document.getElementById("lanes");
const fingers = new Map();
let loading = new AbortController();
let held = null;
let typing = 0;

const stamp = (millis) => new Date(Math.round(millis)).toISOString().replace(".000Z", "Z");
const chart = () => box.querySelector(".drawing") && chartOf(box.querySelector(".drawing"));

/** Show what an address says, without loading the page again. */
async function load(address) {
  loading.abort();
  loading = new AbortController();
  box.setAttribute("aria-busy", "true");
  const part = new URL(address);
  // the choice of a language leads to what is shown
  document.querySelector(".languages [name=next]").value = part.pathname.slice(root.pathname.length - 1) + part.search;
  try {
    const answer = await fetch(part, { signal: loading.signal });
    if (answer.redirected) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!page.getElementById("lanes")) return location.reload();
    Object.assign(box.dataset, page.getElementById("lanes").dataset);
    box.replaceChildren(...page.getElementById("lanes").childNodes);
    for (const id of ["trend-head", "panel", "beside", "trend-rest"]) replace(id, page.getElementById(id));
    filter();
    box.removeAttribute("aria-busy");
  } catch (fault) {
    if (fault.name !== "AbortError") complain(fault);
  }
}

/** Put a newer part of the page into its place: folds stay open, lists scrolled, the focus where it is. */
function replace(id, newer) {
  const older = document.getElementById(id);
  const focus = older.contains(document.activeElement) ? document.activeElement : null;
  const nameOf = (one) => one.closest(".trend-variable")?.dataset.names ?? one.textContent;
  const isOpen = new Map([...older.querySelectorAll("details")].map((one) => [nameOf(one), one.open]));
  const scrolled = older.querySelector("ul")?.scrollTop ?? 0;
  const typed = older.querySelector("[type=search]")?.value;
  if (older.tagName === "DETAILS") newer.open = older.open;
  older.replaceWith(document.adoptNode(newer));
  for (const one of newer.querySelectorAll("details")) one.open ||= isOpen.get(nameOf(one)) ?? false;
  if (newer.querySelector("ul")) newer.querySelector("ul").scrollTop = scrolled;
  if (typed !== undefined) newer.querySelector("[type=search]").value = typed;
  if (!focus) return;
  const isSame = (one) => one.name === focus.name && nameOf(one) === nameOf(focus);
  [...newer.querySelectorAll(focus.tagName)].find(isSame)?.focus({ preventScroll: true });
}

/** Show the variables with the searched text, and those that are drawn. */
function filter() {
  const text = panelForm().elements.text.value.trim().toLowerCase();
  for (const row of document.querySelectorAll(".trend-variable")) {
    row.hidden = !row.dataset.names.toLowerCase().includes(text) && !row.querySelector(":checked");
  }
}

const panelForm = () => document.getElementById("choice");

/** Draw what the panel says. */
function draw() {
  const address = new URL(panelForm().action);
  for (const [name, value] of new FormData(panelForm())) if (value) address.searchParams.append(name, value);
  go(address.href);
}

function complain(fault) {
  box.removeAttribute("aria-busy");
  const line = document.createElement("p");
  line.className = "fault";
  line.setAttribute("role", "alert");
  line.textContent = box.dataset.failed.replace("{reason}", fault.message);
  box.prepend(line);
}

function zoom(first, last) {
  let [start, end] = [Math.min(first, last), Math.max(first, last)];
  end = Math.min(Math.max(end, start + SHORTEST_MS), start + LONGEST_MS);
  if (end - start > 60000) [start, end] = [Math.round(start / 1000) * 1000, Math.round(end / 1000) * 1000];
  const address = new URL(location.href);
  for (const name of ["span", "statistics"]) address.searchParams.delete(name);
  address.searchParams.set("start", stamp(start));
  address.searchParams.set("end", stamp(end));
  address.hash = "";
  go(address.href);
}

function go(address) {
  if (address === location.href) return;
  history.pushState({ zoomed: (history.state?.zoomed ?? 0) + 1 }, "", address);
  load(address);
}

/** Draw the time that a pointer chooses. */
function choose(from, to) {
  box.querySelectorAll(".chosen-time").forEach((one) => one.remove());
  if (to === null) return;
  const { svgs, x } = chart();
  const share = (at) => (100 * (at - x[0])) / (x[1] - x[0]);
  const place = { x: `${share(Math.min(from, to))}%`, width: `${Math.abs(share(to) - share(from))}%`, height: "100%" };
  for (const svg of svgs) add(svg, "rect", { class: "chosen-time", ...place });
}

/** Move the time with one finger, stretch it with two: the lines follow, the server draws the rest. */
function stretch() {
  const { svgs, x } = chart();
  const { left, width } = svgs[0].querySelector(".frame").getBoundingClientRect();
  const places = [...fingers.values()].map((at) => at - left).sort((a, b) => a - b);
  if (!held || held.places.length !== places.length) {
    const view = held?.view ?? { start: x[0], end: x[1] };
    const perPixel = (view.end - view.start) / width;
    held = { view, places, at: places.map((one) => view.start + one * perPixel), moved: held?.moved };
    return;
  }
  let perPixel = (held.view.end - held.view.start) / width;
  if (places.length > 1) perPixel = (held.at[1] - held.at[0]) / Math.max(8, places[1] - places[0]);
  else if (!held.moved && Math.abs(places[0] - held.places[0]) < 12) return;
  const start = held.at[0] - places[0] * perPixel;
  Object.assign(held, { moved: true, view: { start, end: start + width * perPixel } });
  if (places.length > 1) held.at = places.map((one) => start + one * perPixel);
  const scale = 1000 / (x[1] - x[0]);
  for (const plot of box.querySelectorAll(".plot")) {
    plot.setAttribute("viewBox", `${(start - x[0]) * scale} 0 ${width * perPixel * scale} ${plot.getAttribute("height")}`);
  }
}

box.addEventListener("pointerdown", (event) => {
  if (!event.target.closest(".drawing") || event.button) return;
  if (event.pointerType === "touch") {
    fingers.set(event.pointerId, event.clientX);
    stretch();
  } else held = { from: valueAt(chart(), event.clientX), x: event.clientX };
});

box.addEventListener("pointermove", (event) => {
  if (fingers.has(event.pointerId)) {
    fingers.set(event.pointerId, event.clientX);
    stretch();
  } else if (held?.from !== undefined) choose(held.from, valueAt(chart(), event.clientX));
});

for (const type of ["pointerup", "pointercancel"]) {
  addEventListener(type, (event) => {
    if (fingers.delete(event.pointerId)) {
      if (fingers.size) return;
      const { moved, view } = held ?? {};
      held = null;
      if (moved && type === "pointerup") zoom(view.start, view.end);
    } else if (held?.from !== undefined) {
      const { from, x } = held;
      held = null;
      choose(from, null);
      const to = valueAt(chart(), event.clientX);
      if (Math.abs(event.clientX - x) >= CLICK) zoom(from, to);
      else if (type === "pointerup") setMark(chart(), to);
    }
  });
}

box.addEventListener("dblclick", (event) => {
  if (!event.target.closest(".drawing")) return;
  setMark(chart(), null);
  if (history.state?.zoomed) history.back();
});

document.addEventListener("submit", (event) => {
  if (event.target !== panelForm()) return;
  event.preventDefault();
  draw();
});

document.addEventListener("change", (event) => {
  if (event.target.form === panelForm() && event.target.name !== "text") draw();
});

document.addEventListener("input", (event) => {
  if (event.target.name !== "text" || event.target.form !== panelForm()) return;
  filter();
  clearTimeout(typing);
  if ("cut" in document.getElementById("panel").dataset) typing = setTimeout(draw, 400);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest(".moves a, .chips a, .to-time");
  const isPlain = !(event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (!link || !isPlain) return;
  event.preventDefault();
  go(link.href);
});

addEventListener("popstate", () => load(location.href));
