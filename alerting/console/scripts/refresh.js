// A page whose body states `data-refresh` or `data-live` is shown anew every so many seconds, while it is visible and nothing is
// typed in it; what would move the alarms under a finger waits, and is announced. Without scripts the browser loads one with `data-refresh` again.

const seconds = Number(document.body.dataset.refresh) || 60;
const FOCUSABLE = "a[href], button, summary, select, input:not([type=hidden]), textarea, [tabindex]";
const LONGEST_PRESS_MS = 10_000; // a finger that leaves the window is not seen to go up
const CLICK_MS = 300; // after a finger goes up, within which its click comes
const UNTOUCHED_MS = 5_000; // after the last touch, after which alarms may move
const IN_CARD_MS = 30_000; // the same while the focus is in an alarm
const TOAST_MS = 8_000;
let touchedAt = 0;
let heldAt = 0; // when it was seen last that alarms would move
let shown = null; // tag of the answer that is shown, where the server gives one
let pressedAt = null; // when a finger or button of the mouse went down that is not up again
let release = null; // forgets that soon after it went up

function press() {
  clearTimeout(release);
  pressedAt = Date.now();
}

function letGo() {
  release = setTimeout(() => (pressedAt = null), CLICK_MS);
}

addEventListener("pointerdown", press);
addEventListener("pointerup", letGo);
addEventListener("pointercancel", letGo);

for (const kind of ["pointerdown", "pointermove", "wheel", "touchmove", "keydown"]) {
  addEventListener(kind, () => (touchedAt = Date.now()), { capture: true, passive: true });
}

/** Return whether somebody is just about to press something: alarms then stay where they are. */
function isTouched() {
  const isInCard = document.activeElement?.matches("#now :is(article, .card) *");
  return Date.now() - touchedAt < (isInCard ? IN_CARD_MS : UNTOUCHED_MS);
}

/** Return the alarms and groups of a page in their order, for what moves them. */
function alarmsOf(page) {
  return [...page.querySelectorAll("#now :is([data-episode], [data-group])")].map((alarm) => alarm.dataset.episode ?? alarm.dataset.group);
}

/** Return whether a new page would move alarms under a finger; then say how many are new, in a line that shows them when tapped. */
function isHeld(page) {
  const before = alarmsOf(document);
  const after = alarmsOf(page);
  if (!document.querySelector("#now") || !isTouched() || before.join() === after.join()) return false;
  const { new: one, several, changed } = page.querySelector(".now-head").dataset;
  const count = after.filter((alarm) => !before.includes(alarm)).length;
  let line = document.querySelector(".live-news");
  if (line === null) {
    document.querySelector("main").insertAdjacentHTML("afterbegin", '<div role="status"><button type="button" class="live-news"></button></div>');
    line = document.querySelector(".live-news");
    line.addEventListener("click", () => {
      pressedAt = null;
      touchedAt = heldAt = 0;
      line.blur();
      showAnew();
    });
  }
  line.textContent = count > 1 ? several.replace("{number}", count) : count ? one : changed;
  heldAt = Date.now();
  return true;
}

/** Take a message on what was done away after some seconds, but not while it is in use. */
function tendToast() {
  const toast = document.querySelector(".toast");
  if (toast) setTimeout(() => (toast.matches(":hover, :focus-within") ? tendToast() : toast.remove()), TOAST_MS);
}

/** Put a message on what was done first into the part that was acted on: there, the tab key leads to its Undo at once. */
function placeToast() {
  const toast = document.querySelector(".toast");
  if (toast) (document.getElementById(location.hash.slice(1)) ?? document.querySelector("main")).prepend(toast);
}

placeToast();
tendToast();

/** Return whether something is being pressed: what is replaced meanwhile would not get its click. */
function isPressed() {
  return pressedAt !== null && Date.now() - pressedAt < LONGEST_PRESS_MS;
}

/** Return whether something is being pressed, or a form has the cursor or holds what was not sent yet. */
function isInUse() {
  if (isPressed()) return true;
  const fields = document.querySelectorAll("main :is(input:not([type=hidden]), textarea)");
  const isTyped = [...fields].some((field) => field.value !== field.defaultValue || field.checked !== field.defaultChecked);
  const chosen = [...document.querySelectorAll("main option")].some((option) => option.selected !== option.defaultSelected && option.parentElement.querySelector("option[selected]"));
  return isTyped || chosen || document.activeElement?.matches("main :is(input, select, textarea)");
}

/** Return by what a part that opens is found again: its title, its form, and what it stands in. */
function nameOf(title) {
  return [title.dataset.name ?? title.textContent, title.closest("form")?.getAttribute("action"), title.closest("[id]")?.id].join("|");
}

/** Return the names of the parts that are open, by which they are opened again. */
function namesOpen() {
  return new Set([...document.querySelectorAll("main details[open] > summary")].map(nameOf));
}

/** Return by what an element is found again: its address, form and text. */
function describe(element) {
  const form = element.form;
  const sent = form ? [...form.querySelectorAll("input[type=hidden]:not([name=csrf])")].map((field) => field.value) : [];
  return [element.tagName, element.id, element.getAttribute("href"), form?.getAttribute("action"), ...sent, element.dataset.name ?? element.textContent].join("|");
}

/** Put the page's main part in the place of this one, with the same focus and scrolling. */
function replaceMain(main) {
  const focused = document.activeElement?.matches("main *") ? describe(document.activeElement) : null;
  const scrolled = [...document.querySelectorAll("main .wide")].map((part) => [part.scrollLeft, part.scrollTop]);
  main.append(...document.querySelectorAll("main .toast"));
  document.querySelector("main").replaceWith(main);
  placeToast();
  main.querySelectorAll(".wide").forEach((part, n) => scrolled[n] && part.scrollTo(...scrolled[n]));
  if (focused === null) return;
  [...main.querySelectorAll(FOCUSABLE)].find((element) => describe(element) === focused)?.focus({ preventScroll: true });
}

/** Fetch the page again and show its main part. Return whether that is done: not while it is in use, or the server away. */
export async function showAnew() {
  if (document.hidden || isInUse() || (isTouched() && Date.now() - heldAt < UNTOUCHED_MS)) return false;
  const answer = await fetch(location.href, { cache: "no-store", headers: shown ? { "If-None-Match": shown } : {} });
  if (answer.status === 304) return true;
  if (answer.redirected) location.reload(); // the session is over
  if (!answer.ok || answer.redirected) return answer.status < 500;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (document.body.dataset.refresh && !page.body.dataset.refresh) {
    location.reload(); // what was waited for is there
    return true;
  }
  const open = namesOpen();
  for (const title of page.querySelectorAll("main details > summary")) title.parentElement.open ||= open.has(nameOf(title));
  if (isInUse() || isHeld(page)) return false;
  document.title = page.title;
  replaceMain(document.adoptNode(page.querySelector("main")));
  shown = answer.headers.get("etag");
  document.dispatchEvent(new Event("shown-anew"));
  return true;
}

setInterval(() => showAnew().catch(() => {}), seconds * 1000); // an answer that does not come is asked for again
