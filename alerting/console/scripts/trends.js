// The page of a trend: its address says what is shown; zooming changes the address.

import { Lanes } from "./lanes.js";

const SHORTEST = 1;
const LONGEST = 366 * 86400;
const root = new URL("../", import.meta.url);
const box = document.getElementById("lanes");
let loading = new AbortController();

function shownOf(element) {
  const read = (name) => JSON.parse(element.dataset[name]);
  return {
    view: { start: Number(element.dataset.start), end: Number(element.dataset.end) },
    asset: element.dataset.asset,
    variables: read("variables"),
    shown: {
      zone: element.dataset.zone,
      language: element.dataset.language,
      find: element.dataset.find,
      bands: read("bands"),
      titles: read("titles"),
      levels: read("levels"),
      words: read("words"),
    },
  };
}

const stamp = (seconds) => new Date(Math.round(seconds * 1000)).toISOString().replace(".000Z", "Z");

async function series({ asset, variables, view }, signal) {
  const query = new URLSearchParams({ asset });
  for (const name of variables) query.append("variable", name);
  query.append("start", stamp(view.start));
  query.append("end", stamp(view.end));
  query.append("points", String(Math.min(4000, Math.max(200, box.clientWidth))));
  const answer = await fetch(new URL(`api/v1/series?${query}`, root), { signal });
  if (answer.status === 401) return location.reload();
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail);
  return found;
}

/** Show what an address says, without loading the page again. */
async function load(address) {
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  box.setAttribute("aria-busy", "true");
  const part = new URL(address);
  // the choice of a language leads to what is shown
  document.querySelector(".languages [name=next]").value = part.pathname.slice(root.pathname.length - 1) + part.search;
  try {
    part.searchParams.set("part", "true");
    const answer = await fetch(part, { signal });
    if (answer.redirected) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.getElementById("lanes");
    if (!next) return location.reload();
    Object.assign(box.dataset, next.dataset);
    for (const id of ["trend-head", "trend-rest"]) {
      const here = document.getElementById(id);
      const open = [...here.querySelectorAll("details")].map((one) => one.open);
      here.replaceWith(document.adoptNode(page.getElementById(id)));
      const details = document.getElementById(id).querySelectorAll("details");
      details.forEach((one, n) => { one.open = open[n] ?? false; });
    }
    await draw(signal);
  } catch (fault) {
    if (fault.name !== "AbortError") complain(fault);
  }
}

async function draw(signal) {
  const wanted = shownOf(box);
  const found = await series(wanted, signal);
  lanes.draw(found.series, wanted.view, wanted.shown);
  document.getElementById("unread").hidden = !found.unread.length;
  box.removeAttribute("aria-busy");
  document.querySelectorAll(".with-script").forEach((one) => { one.hidden = false; });
}

function complain(fault) {
  box.removeAttribute("aria-busy");
  const line = document.createElement("p");
  line.className = "fault";
  line.setAttribute("role", "alert");
  line.textContent = shownOf(box).shown.words.failed.replace("{reason}", fault.message);
  box.prepend(line);
}

function zoom(first, last) {
  let [start, end] = [Math.min(first, last), Math.max(first, last)];
  if (end - start < SHORTEST) end = start + SHORTEST;
  if (end - start > LONGEST) end = start + LONGEST;
  if (end - start > 60) [start, end] = [Math.round(start), Math.round(end)];
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

function follow(event) {
  const link = event.target.closest(".moves a, .chips a");
  const isPlain = !(event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (!link || !isPlain) return;
  event.preventDefault();
  go(link.href);
}

const back = () => { if (history.state?.zoomed) history.back(); };
const lanes = new Lanes(box, zoom, back);
document.addEventListener("click", follow);
addEventListener("popstate", () => load(location.href));
draw(loading.signal).catch(complain);
