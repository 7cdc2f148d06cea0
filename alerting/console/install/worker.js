// The worker of the installed console. It stores one page, with its style, for the time without a connection; never data.

const PAGE = new URL("./offline", self.location);
const STYLE = new URL("./style.css?offline", self.location);

async function store() {
  const shell = await caches.open(SHELL);
  await shell.addAll([PAGE, STYLE].map((address) => new Request(address, { cache: "reload", credentials: "omit" })));
  await self.skipWaiting();
}

async function clear() {
  const others = (await caches.keys()).filter((name) => name.startsWith("alerting-") && name !== SHELL);
  await Promise.all(others.map((name) => caches.delete(name)));
  await self.clients.claim();
}

self.addEventListener("install", (event) => event.waitUntil(store()));
self.addEventListener("activate", (event) => event.waitUntil(clear()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  if (request.mode === "navigate") event.respondWith(fetch(request).catch(() => caches.match(PAGE)));
  else if (request.url === STYLE.href) event.respondWith(fetch(request).catch(() => caches.match(STYLE)));
});
