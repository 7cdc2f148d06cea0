// The wall: its pages follow each other, the clock goes on, the screen stays on, and data that are no longer fresh are said.

import "./live.js";

const OLD_MS = 120_000; // without an answer of the server, which is asked every 30 s
const zone = document.querySelector("#live").dataset.zone;
const old = document.querySelector("#wall-old");
const seconds = Number(document.body.dataset.seconds);
let inSight = 0;
let fresh = Date.now();
let known = new Set();
let ahead = 0; // of the plant's clock before that of this browser, in ms
let lock = null;

function format(at) {
  const shown = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone };
  return new Date(at).toLocaleTimeString(document.documentElement.lang, shown);
}

/** Show one page; after a change the one with an alarm that was not there before. */
function show() {
  const pages = [...document.querySelectorAll(".wall-page")];
  inSight %= pages.length;
  pages.forEach((page, n) => { page.hidden = n !== inSight; });
}

function take() {
  fresh = Date.now();
  old.hidden = true;
  ahead = Number(document.querySelector("#wall").dataset.at) - fresh;
  const pages = [...document.querySelectorAll(".wall-page")];
  const idsOf = (page) => [...page.querySelectorAll("[data-episode]")].map((card) => card.dataset.episode);
  const news = pages.findIndex((page) => idsOf(page).some((id) => !known.has(id)));
  if (news >= 0) inSight = news;
  known = new Set(pages.flatMap(idsOf));
  show();
}

/** Keep the screen on, where the browser can: over HTTPS. */
async function stayOn() {
  if (document.hidden || (lock && !lock.released)) return;
  lock = await navigator.wakeLock?.request("screen").catch(() => null);
}

document.addEventListener("shown-anew", take);
document.addEventListener("visibilitychange", stayOn);
setInterval(() => {
  inSight += 1;
  show();
}, seconds * 1000);
setInterval(() => {
  document.querySelector("#wall-clock").textContent = format(Date.now() + ahead);
  if (Date.now() - fresh < OLD_MS) return;
  old.querySelector("p").textContent = old.dataset.lost.replace("{time}", format(fresh));
  old.hidden = false;
}, 1000);
take();
stayOn();
