// A page whose body states `data-live` shows what changes as it happens. One stream serves all pages of a browser: the visible page
// that holds a lock reads it and tells the others. `data-live` is the id of the page's one episode, or * for any change.

import { tellAge } from "./alive.js";
import { showAnew } from "./refresh.js";

const subject = document.body.dataset.live;
const bar = document.querySelector("#live");
const sound = document.querySelector("#live-sound");
const channel = new BroadcastChannel("alerting-live");
const MARK = "alerting-live-mark";
const SEVERITIES = ["low", "medium", "high", "critical"];
const COLOURS = { low: "#5b6770", medium: "#8a6100", high: "#b84300", critical: "#b3001b" };
const SILENT_MS = 40_000; // without a sign of the stream, which has one every 15 s
const LOST_MS = 4_000; // after which a lost connection is said
const AGAIN_MS = 3_000;

let source = null; // the stream, if this page reads it
let release = null; // gives the lock back
let lostAt = null;
let heard = Date.now();
let last = null; // the last data of the stream
let isDue = false;
let isShowing = false;
let isConnected = false; // whether the stream was ever heard by this page

/** Show the page anew, at once or as soon as it is not in use; once for all changes meanwhile. */
async function show() {
  isDue = true;
  if (isShowing) return;
  isShowing = true;
  while (isDue && !document.hidden) {
    isDue = false;
    const began = Date.now();
    const done = await showAnew().catch(() => false);
    isDue ||= !done;
    const rest = done ? Math.min(10_000, Math.max(500, 2 * (Date.now() - began))) : 2_000;
    await new Promise((resolve) => setTimeout(resolve, rest));
  }
  isShowing = false;
}

function concerns(data) {
  if (data.all || subject === "*") return true;
  return data.mutes || data.episodes.some((episode) => episode.id === subject);
}

/** Put the number of open alarms that are not acknowledged into title and icon. */
function count(data) {
  const open = SEVERITIES.reduce((sum, severity) => sum + data.unacknowledged[severity], 0);
  document.title = (open ? `(${open}) ` : "") + document.title.replace(/^\(\d+\) /, "");
  const worst = SEVERITIES.findLast((severity) => data.unacknowledged[severity]);
  const icon = document.querySelector("link[rel=icon]");
  if (!open) icon.href = "data:,";
  else {
    const text = `<text x="16" y="23" font-family="sans-serif" font-size="18" font-weight="700" text-anchor="middle" fill="#fff">${open > 99 ? "99" : open}</text>`;
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="${COLOURS[worst]}"/>${text}</svg>`;
    icon.href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  }
}

/** Show what is told by the stream, read by this page or by another one. */
function take({ data, mark }) {
  heard = Date.now();
  found();
  const isNews = data.all || data.episodes.length > 0 || data.mutes || data.platform;
  if (mark) sessionStorage.setItem(MARK, mark);
  last = data;
  count(data);
  if (isNews && concerns(data)) show();
}

// the connection

function lost() {
  lostAt ??= Date.now();
  setTimeout(() => lostAt !== null && Date.now() - lostAt >= LOST_MS && say(), LOST_MS);
}

function lostTime() {
  const shown = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: bar.dataset.zone };
  return new Date(lostAt).toLocaleTimeString(document.documentElement.lang, shown);
}

function say() {
  bar.querySelector("p").textContent = bar.dataset.lost.replace("{time}", lostTime());
  bar.hidden = false;
  tellState();
}

function found() {
  isConnected = true;
  if (lostAt !== null) bar.hidden = true;
  lostAt = null;
  tellState();
}

/** Tell the age of the readings and the state of the connection, beside the dot. */
function tellState() {
  tellAge();
  const dot = document.querySelector(".alive");
  if (dot === null) return;
  const isLost = !bar.hidden;
  dot.classList.toggle("lost", isLost);
  dot.classList.toggle("live", isConnected && !isLost);
  if (isConnected) dot.querySelector(".alive-link").textContent = isLost ? dot.dataset.lost.replace("{time}", lostTime()) : dot.dataset.live;
}

function open() {
  if (source) source.close();
  heard = Date.now();
  const mark = sessionStorage.getItem(MARK);
  source = new EventSource(new URL("../api/v1/live", import.meta.url) + (mark ? `?after=${encodeURIComponent(mark)}` : ""));
  source.onmessage = ({ data, lastEventId }) => {
    const told = { data: JSON.parse(data), mark: lastEventId };
    channel.postMessage(told);
    ring(told.data);
    take(told);
  };
  source.addEventListener("alive", () => {
    heard = Date.now();
    found();
    channel.postMessage(null);
  });
  source.onerror = () => {
    lost();
    channel.postMessage("lost");
    if (source?.readyState === EventSource.CLOSED) setTimeout(() => source?.readyState === EventSource.CLOSED && open(), AGAIN_MS);
  };
}

function close() {
  source?.close();
  source = null;
  release?.();
  release = null;
}

/** Read the stream once no other page of this browser does. Without locks (no HTTPS) every visible page reads its own. */
function queue() {
  if (source || release) return;
  if (!navigator.locks) return open();
  const waiting = new AbortController();
  release = () => waiting.abort();
  const hold = () => new Promise((resolve) => {
    if (waiting.signal.aborted) return resolve();
    release = resolve;
    open();
  });
  navigator.locks.request("alerting-live", { signal: waiting.signal }, hold).catch(() => {});
}

channel.onmessage = ({ data }) => {
  if (data === "lost") return lost();
  if (data !== null) return take(data);
  heard = Date.now();
  found();
};
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return close();
  queue();
  show();
});
addEventListener("pagehide", close);
addEventListener("pageshow", (event) => event.persisted && queue());
setInterval(() => {
  if (document.hidden || Date.now() - heard < SILENT_MS) return;
  lost();
  if (source) open();
}, 5_000);

// sound

let audio = null;

/** Sound once for alarms that are new, of the severities that this browser has chosen. */
function ring(data) {
  const least = SEVERITIES.indexOf(sound?.value);
  if (last === null || least < 0) return;
  const worst = SEVERITIES.findLastIndex((severity, n) => n >= least && data.unacknowledged[severity] > last.unacknowledged[severity]);
  if (worst < 0 || !isAudible()) return;
  for (let n = 0; n < worst; n++) {
    const tone = new OscillatorNode(audio, { frequency: 660 + 110 * worst });
    const volume = new GainNode(audio, { gain: 0.3 });
    tone.connect(volume).connect(audio.destination);
    tone.start(audio.currentTime + n * 0.3);
    tone.stop(audio.currentTime + n * 0.3 + 0.2);
  }
}

/** Return whether the browser lets this page sound; if not, ask for the tap that it wants. */
function isAudible() {
  const wanted = sound.value !== "";
  if (wanted) audio ??= new AudioContext();
  const button = document.querySelector("#live-tap");
  button.hidden = !wanted || audio.state === "running";
  return wanted && audio.state === "running";
}

if (sound) {
  sound.closest("label").hidden = false;
  sound.value = localStorage.getItem("alerting-sound") ?? "";
  sound.addEventListener("change", () => {
    localStorage.setItem("alerting-sound", sound.value);
    isAudible();
  });
  document.addEventListener("pointerdown", () => audio?.resume().then(isAudible));
  isAudible();
}
document.addEventListener("shown-anew", () => {
  tellState();
  if (last) count(last);
});
setInterval(tellState, 5_000);
if (!document.hidden) queue();
