// The dot in the head of every page: the age of the readings grows while a page stays open. Without a stream the browser says whether it
// is connected; with one, live.js does.

const OLD_S = 600;
let shownAt = Date.now();

function duration(seconds) {
  const [unit, size] = seconds < 120 ? ["second", 1] : seconds < 7200 ? ["minute", 60] : seconds < 172_800 ? ["hour", 3600] : ["day", 86_400];
  const shown = { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 0 };
  return new Intl.NumberFormat(document.documentElement.lang, shown).format(Math.floor(seconds / size));
}

/** Tell the age of the readings beside the dot. */
export function tellAge() {
  const dot = document.querySelector(".alive");
  if (!dot?.dataset.seconds) return;
  const seconds = Number(dot.dataset.seconds) + Math.round((Date.now() - shownAt) / 1000);
  dot.classList.toggle("old", seconds >= OLD_S);
  dot.querySelector(".alive-age").textContent = dot.dataset.age.replace("{age}", duration(seconds));
}

/** Tell since when the browser is offline. */
function tellOffline() {
  const dot = document.querySelector(".alive");
  const time = new Date().toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  dot?.classList.toggle("lost", !navigator.onLine);
  if (dot) dot.querySelector(".alive-link").textContent = navigator.onLine ? "" : dot.dataset.lost.replace("{time}", time);
}

document.addEventListener("shown-anew", () => {
  shownAt = Date.now();
  tellAge();
});
if (!document.body.dataset.live) for (const kind of ["offline", "online"]) addEventListener(kind, tellOffline);
setInterval(tellAge, 5_000);
