// The panel of the menu closes when the focus leaves it. Ctrl-K or `/` opens a dialog that jumps to an asset, an alert or an alarm: the
// form and results of the page /jump, which works without scripts, too.

const panel = document.getElementById("menu-rest");
const entrance = document.querySelector(".menu-jump");
const SOON_MS = 120; // after the last key, before results are asked for
let dialog = null;
let timer = 0;
let asked = 0;

panel?.addEventListener("focusout", (event) => {
  if (event.relatedTarget && !panel.contains(event.relatedTarget) && panel.matches(":popover-open")) panel.hidePopover();
});

// The bar at the left folds to icons, and stays folded in this browser.
const fold = document.querySelector(".menu-fold");
const FOLDED = "alerting-menu-folded";

function showFolded() {
  const isFolded = localStorage.getItem(FOLDED) !== null;
  document.documentElement.classList.toggle("folded", isFolded);
  fold.setAttribute("aria-expanded", String(!isFolded));
  for (const entry of document.querySelectorAll(".menu .menu-entry")) entry.title = isFolded ? entry.querySelector("span").textContent : "";
}

if (fold) {
  fold.hidden = false;
  showFolded();
  fold.addEventListener("click", () => {
    if (localStorage.getItem(FOLDED) === null) localStorage.setItem(FOLDED, "yes");
    else localStorage.removeItem(FOLDED);
    showFolded();
  });
}

/** Return the form and results of the page /jump for a text, from the server. */
async function fetchJump(text) {
  const answer = await fetch(`${entrance.href}?text=${encodeURIComponent(text)}`);
  if (!answer.ok || answer.redirected) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
}

function links() {
  return [...dialog.querySelectorAll(".jump-results a")];
}

/** Show the results for what is typed now, unless something else was typed meanwhile. */
async function showResults() {
  const number = ++asked;
  const main = await fetchJump(dialog.querySelector("input").value);
  if (main === null || number !== asked) return;
  const chosen = document.activeElement.closest(".jump-results a")?.getAttribute("href");
  dialog.querySelector(".jump-results").replaceWith(document.adoptNode(main.querySelector(".jump-results")));
  if (chosen) (links().find((link) => link.getAttribute("href") === chosen) ?? dialog.querySelector("input")).focus();
}

/** Go through the results by arrows; Enter in the field opens the first one. */
function goByKey(event) {
  const all = links();
  const index = all.indexOf(event.target); // -1: the field
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) (all[Math.min(index + step, all.length - 1)] ?? dialog.querySelector("input")).focus();
  else if (event.key === "Enter" && index === -1 && all[0]) all[0].click();
  else return;
  event.preventDefault();
}

/** Open the dialog; go to the page where the server does not answer. */
async function openJump() {
  if (dialog?.open) return;
  const main = await fetchJump("").catch(() => null);
  if (main === null || dialog?.open) return void (main === null && location.assign(entrance.href));
  dialog?.remove();
  dialog = document.createElement("dialog");
  dialog.className = "jump";
  dialog.setAttribute("aria-label", main.querySelector("h1").textContent);
  dialog.append(...[main.querySelector("form"), main.querySelector(".jump-results")].map((part) => document.adoptNode(part)));
  document.body.append(dialog);
  dialog.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => showResults().catch(() => {}), SOON_MS);
  });
  dialog.addEventListener("keydown", goByKey);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.showModal();
  dialog.querySelector("input").focus();
}

if (entrance) {
  for (const link of document.querySelectorAll(".menu [href$='/jump']")) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      panel.matches(":popover-open") && panel.hidePopover();
      openJump();
    });
  }
  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
    const isCtrlK = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey;
    const isSlash = event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping;
    if (!isCtrlK && !isSlash) return;
    event.preventDefault();
    openJump();
  });
}
