// The page that installs the console: the worker, where the browser takes one (over HTTPS or on the machine itself), and the button.

const root = new URL("../", import.meta.url);
navigator.serviceWorker?.register(new URL("worker.js", root), { scope: root.pathname }).catch(() => {});

const button = document.querySelector("#install-button");
addEventListener("beforeinstallprompt", (event) => {
  if (!button) return;
  event.preventDefault();
  button.hidden = false;
  button.onclick = () => event.prompt();
});
