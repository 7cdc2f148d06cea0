// The editor of definitions: a preview is made when it is opened, and anew after each change, without loading the page.
// A limit on the drawn trend can be dragged; it is the limit of the form or of the text.

const editor = document.getElementById("editor");
const PAUSE_MS = 250;
const TYPING_MS = 700;
let asking = new AbortController();
let waiting = 0;
let dragged = null;
let asked = "";

const side = () => editor.querySelector(".side");
const drawn = () => document.getElementById("drawn");

/** Return the place of a limit in the text of a document, null unless there is exactly one. */
function placeOf(path) {
  const text = document.getElementById("text");
  const name = path.split(".").at(-1);
  const found = [...(text?.value ?? "").matchAll(new RegExp(`((?:^|[{,-])[ \\t]*${name}:[ \\t]*)[-+.\\deE]+`, "gm"))];
  return found.length === 1 ? { text, start: found[0].index + found[0][1].length, end: found[0].index + found[0][0].length } : null;
}

const fieldOf = (path) => document.getElementById(`field-${path.replaceAll(".", "-")}`);

function write(path, value) {
  const field = fieldOf(path);
  const place = placeOf(path);
  if (field) field.value = value;
  else if (place) place.text.setRangeText(value, place.start, place.end);
}

const spoken = (limit, value) => `↕ ${limit.dataset.words.replace("{value}", value)}`;

/** Draw a limit at a value, and write it where it is edited. */
function move(limit, value) {
  const { low, high, step } = limit.ownerSVGElement.dataset;
  const digits = Math.max(0, -Math.floor(Math.log10(Number(step))));
  const text = String(Number(Math.min(Number(high), Math.max(Number(low), value)).toFixed(digits)));
  if (text === limit.dataset.value) return;
  const words = limit.querySelector("text");
  const at = `${((Number(high) - Number(text)) / (Number(high) - Number(low))) * 100}%`;
  for (const line of limit.querySelectorAll("line")) for (const side of ["y1", "y2"]) line.setAttribute(side, at);
  words.setAttribute("y", at);
  words.setAttribute("dy", -5);
  words.textContent = spoken(limit, text);
  limit.dataset.value = text;
  limit.setAttribute("aria-valuenow", text);
  limit.setAttribute("aria-valuetext", limit.dataset.words.replace("{value}", text));
  write(limit.dataset.path, text);
  askSoon();
}

function makeMovable() {
  const limits = [...editor.querySelectorAll(".limit[data-path]")].filter((one) => fieldOf(one.dataset.path) || placeOf(one.dataset.path));
  for (const limit of limits) {
    const plot = limit.ownerSVGElement;
    const grip = limit.querySelector(".level").cloneNode();
    grip.setAttribute("class", "grip");
    limit.append(grip);
    limit.querySelector("text").prepend("↕ ");
    plot.ownerSVGElement.setAttribute("role", "group");
    const states = { role: "slider", tabindex: 0, "aria-orientation": "vertical", "aria-label": limit.dataset.label };
    const range = { "aria-valuemin": plot.dataset.low, "aria-valuemax": plot.dataset.high, "aria-valuenow": limit.dataset.value };
    for (const [name, value] of Object.entries({ ...states, ...range })) limit.setAttribute(name, value);
  }
  editor.querySelectorAll(".moves-limit").forEach((one) => { one.hidden = !limits.length; });
}

/** Show each fault beside its field, and open what hides it. */
function showFaults(page) {
  const form = editor.querySelector(".form");
  if (!form) return;
  form.querySelectorAll("small.fault").forEach((fault) => fault.remove());
  form.querySelectorAll(".wrong-field").forEach((field) => field.classList.remove("wrong-field"));
  for (const fault of page.querySelectorAll(".form small.fault")) {
    const { path } = fault.dataset;
    const field = fieldOf(path)?.closest(".field");
    const part = field ?? form.querySelector(`[type=hidden][name$=":${CSS.escape(path)}"]`)?.parentElement;
    field?.classList.add("wrong-field");
    part?.closest("details")?.setAttribute("open", "");
    part?.append(document.adoptNode(fault));
  }
}

/** Show the parts of an answered page in place of those of this one; the last result stays until there is another. */
function show(page) {
  const running = page.body.dataset.refresh;
  const focused = document.activeElement?.dataset.path;
  const stays = drawn().querySelector("#preview") && !page.getElementById("preview");
  side().replaceWith(page.querySelector("#editor .side"));
  showFaults(page);
  document.getElementById("of-before").hidden = !stays;
  drawn().classList.toggle("before", Boolean(stays));
  if (!dragged && !stays && !(running && drawn().querySelector(".plot"))) {
    const open = [...drawn().querySelectorAll("details")].map((one) => one.open);
    drawn().replaceWith(page.getElementById("drawn"));
    drawn().querySelectorAll("details").forEach((one, n) => { one.open = open[n] ?? false; });
    makeMovable();
    if (focused) editor.querySelector(`.limit[data-path="${focused}"]`)?.focus();
  }
  return running;
}

/** Ask for a preview of what is edited now, and show it, its progress first. */
async function ask(body, keeps) {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  editor.querySelector(".result-half").setAttribute("aria-busy", "true");
  let answer = await fetch(editor.action, { method: "POST", body, signal });
  for (;;) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!page.getElementById("editor")) return location.reload(); // the session is over
    const address = answer.url;
    if (keeps && /\/previews\//.test(new URL(address).pathname)) {
      history.replaceState(null, "", address);
      const next = ".languages [name=next]"; // the choice of a language leads to what is shown
      document.querySelector(next).value = page.querySelector(next).value;
    }
    if (!show(page)) return editor.querySelector(".result-half").removeAttribute("aria-busy");
    await new Promise((go) => setTimeout(go, PAUSE_MS));
    if (signal.aborted) return;
    answer = await fetch(address, { cache: "no-store", signal });
  }
}

/** Ask now. `live`: not by the button, and only if something has changed; `keeps`: reloading the page shows it again. */
function askNow({ live = true, keeps = true, act = "preview" } = {}) {
  clearTimeout(waiting);
  const body = new URLSearchParams(new FormData(editor));
  for (const name of ["reason", "accept_load"]) body.delete(name);
  body.set("do", act);
  if (live && body.toString() === asked) return;
  asked = body.toString();
  if (live) body.set("live", "1");
  ask(body, keeps).catch((fault) => { if (fault.name !== "AbortError") editor.querySelector(".result-half").removeAttribute("aria-busy"); });
}

function askSoon(pause = PAUSE_MS) {
  clearTimeout(waiting);
  waiting = setTimeout(askNow, pause);
}

const isPart = (event) => event.target.matches(".pane :is(input, select, textarea):not([name=scenarios])");

editor.addEventListener("submit", (event) => {
  const act = event.submitter?.value;
  if (act !== "preview" && act !== "train") return asking.abort(); // the browser can come back to this page as it was
  event.preventDefault();
  askNow({ live: false, act });
});

/** Add a chosen name: to a list as a line of its own, to a document where the caret stands. */
function addName(picker) {
  const area = document.getElementById(picker.dataset.adds);
  const name = picker.value.trim();
  if (!name) return;
  if (area.id === "text") area.setRangeText(name, area.selectionStart, area.selectionEnd, "end");
  else area.value = [...area.value.split("\n").filter((line) => line.trim() && line !== name), name].join("\n");
  picker.value = "";
}

editor.querySelectorAll("[data-adds]").forEach((picker) => { picker.closest("label").hidden = false; });
editor.addEventListener("change", (event) => {
  if (event.target.dataset.adds) addName(event.target);
  if (isPart(event)) askSoon();
});
editor.addEventListener("input", (event) => { if (isPart(event) && !event.target.dataset.adds) askSoon(TYPING_MS); });

editor.addEventListener("pointerdown", (event) => {
  const limit = event.target.closest(".limit[role]");
  if (!limit || event.button) return;
  event.preventDefault();
  limit.focus();
  limit.setPointerCapture(event.pointerId);
  dragged = limit;
});

editor.addEventListener("pointermove", (event) => {
  if (!dragged) return;
  const plot = dragged.ownerSVGElement;
  const { top, height } = plot.querySelector(".frame").getBoundingClientRect();
  const [low, high] = [Number(plot.dataset.low), Number(plot.dataset.high)];
  move(dragged, high - ((event.clientY - top) / height) * (high - low));
});

function drop() {
  if (!dragged) return;
  dragged = null;
  askSoon();
}

editor.addEventListener("pointerup", drop);
editor.addEventListener("pointercancel", drop);

editor.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.dataset.adds) event.preventDefault();
  const limit = event.target.closest(".limit[role]");
  const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
  if (!limit || !steps) return;
  event.preventDefault();
  move(limit, Number(limit.dataset.value) + steps * Number(limit.ownerSVGElement.dataset.step));
});

addEventListener("pagehide", () => {
  clearTimeout(waiting);
  asking.abort();
  const id = document.getElementById("progress")?.dataset.running;
  const csrf = editor.querySelector("[name=csrf]")?.value;
  if (id && csrf) navigator.sendBeacon(new URL(`../previews/${id}/end`, import.meta.url), new URLSearchParams({ csrf }));
});

makeMovable();
if ("fresh" in editor.dataset) askNow({ keeps: false });
