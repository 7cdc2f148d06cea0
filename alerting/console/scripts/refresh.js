// A page whose body states `data-refresh` is shown anew every so many seconds, while it is visible and nothing is typed in it.
// Without scripts the browser loads it again.

const seconds = Number(document.body.dataset.refresh);

/** Return whether a form has the cursor, or holds what was not sent yet. */
function isInUse() {
  const fields = document.querySelectorAll("main :is(input:not([type=hidden]), textarea)");
  const isTyped = [...fields].some((field) => field.value !== field.defaultValue || field.checked !== field.defaultChecked);
  return isTyped || document.activeElement?.matches("main :is(input, select, textarea)");
}

/** Return the titles of the parts that are open, by which they are opened again. */
function titlesOpen() {
  return new Set([...document.querySelectorAll("main details[open] > summary")].map((title) => title.textContent));
}

async function showAnew() {
  if (document.hidden || isInUse()) return;
  const answer = await fetch(location.href, { cache: "no-store" });
  if (answer.redirected) location.reload(); // the session is over
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!page.body.dataset.refresh) location.reload(); // what was waited for is there
  const open = titlesOpen();
  for (const title of page.querySelectorAll("main details > summary")) title.parentElement.open ||= open.has(title.textContent);
  if (isInUse()) return;
  document.title = page.title;
  document.querySelector("main").replaceWith(page.querySelector("main"));
}

setInterval(() => showAnew().catch(() => {}), seconds * 1000); // an answer that does not come is asked for again
