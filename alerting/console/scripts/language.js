// What was typed in the forms of a page stays when another language is chosen, which opens the page anew.

const KEY = "alerting-typed";
const FIELDS = "main form :is(input, select, textarea)[name]";
const SECRET = ["hidden", "password", "file", "submit"];

/** Return the fields that people fill in, each with its name and its number among those of the same name. */
function namedFields() {
  const seen = new Map();
  const own = [...document.querySelectorAll(FIELDS)].filter((field) => !SECRET.includes(field.type));
  return own.map((field) => {
    const number = seen.get(field.name) ?? 0;
    seen.set(field.name, number + 1);
    return [`${field.name} ${number}`, field];
  });
}

function isChoice(field) {
  return field.type === "checkbox" || field.type === "radio";
}

function valueOf(field) {
  return isChoice(field) ? field.checked : field.value;
}

function fill(field, value) {
  if (valueOf(field) === value) return;
  if (isChoice(field)) field.checked = value;
  else field.value = value;
  field.closest("details")?.setAttribute("open", "");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

const choice = document.querySelector("form.languages");
choice?.addEventListener("submit", () => {
  const typed = namedFields().map(([name, field]) => [name, valueOf(field)]);
  const address = choice.elements.next.value;
  if (typed.length) sessionStorage.setItem(KEY, JSON.stringify({ address, typed }));
});

const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
sessionStorage.removeItem(KEY);
if (kept && (location.pathname + location.search).endsWith(kept.address)) {
  const typed = new Map(kept.typed);
  for (const [name, field] of namedFields()) if (typed.has(name)) fill(field, typed.get(name));
}
