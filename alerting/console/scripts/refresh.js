// A page whose body states `data-refresh` or `data-live` is shown anew every so many seconds, while it is visible and nothing is
// typed in it. Without scripts the browser loads one with `data-refresh` again.

const seconds = Number(document.body.dataset.refresh) || 60;
const FOCUSABLE = "a[href], button, summary, select, input:not([type=hidden]), textarea, [tabindex]";
const LONGEST_PRESS_MS = 10_000; // a finger that leaves the window is not seen to go up
const CLICK_MS = 300; // after a finger goes up, within which its click comes
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
  return [title.textContent, title.closest("form")?.getAttribute("action"), title.closest("[id]")?.id].join("|");
}

/** Return the names of the parts that are open, by which they are opened again. */
function namesOpen() {
  return new Set([...document.querySelectorAll("main details[open] > summary")].map(nameOf));
}

/** Return by what an element is found again: its address, form and text. */
function describe(element) {
  const form = element.form;
  const sent = form ? [...form.querySelectorAll("input[type=hidden]:not([name=csrf])")].map((field) => field.value) : [];
  return [element.tagName, element.id, element.getAttribute("href"), form?.getAttribute("action"), ...sent, element.textContent].join("|");
}

/** Put the page's main part in the place of this one, with the same focus and scrolling. */
function replaceMain(main) {
  const focused = document.activeElement?.matches("main *") ? describe(document.activeElement) : null;
  const scrolled = [...document.querySelectorAll("main .wide")].map((part) => [part.scrollLeft, part.scrollTop]);
  document.querySelector("main").replaceWith(main);
  main.querySelectorAll(".wide").forEach((part, n) => scrolled[n] && part.scrollTo(...scrolled[n]));
  if (focused === null) return;
  [...main.querySelectorAll(FOCUSABLE)].find((element) => describe(element) === focused)?.focus({ preventScroll: true });
}

/** Fetch the page again and show its main part. Return whether that is done: not while it is in use, or the server away. */
export async function showAnew() {
  if (document.hidden || isInUse()) return false;
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
  if (isInUse()) return false;
  document.title = page.title;
  replaceMain(document.adoptNode(page.querySelector("main")));
  shown = answer.headers.get("etag");
  document.dispatchEvent(new Event("shown-anew"));
  return true;
}

setInterval(() => showAnew().catch(() => {}), seconds * 1000); // an answer that does not come is asked for again
