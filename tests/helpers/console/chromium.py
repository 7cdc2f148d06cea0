"""A real Chromium, driven through its debugging pipe; scripts of pages are off at first."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import contextmanager, suppress

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NO_CHROMIUM = "Chromium is not installed: apt-get install --no-install-recommends chromium"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-quic", "--disable-background-networking", "--disable-component-update"),
)
HANG_S = 300.0
SIDEWAYS = "(({scrollWidth, clientWidth}) => scrollWidth > clientWidth)(document.documentElement)"
"""Whether a page is wider than its screen. On a phone, `innerWidth` grows with the page."""


def wait_until(true, reason=lambda: "waited in vain"):
    """Ask until it is true. Raises AssertionError with a reason after the time of a hang."""
    until = time.monotonic() + HANG_S
    while not true():
        assert time.monotonic() < until, reason()
        time.sleep(0.02)


@contextmanager
def open_chromium(profile):
    """Yield a browser whose profile is stored in this folder."""
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    # the browser reads its commands from descriptor 3 and writes to 4
    shell = f'exec "$0" "$@" 3<&{commands} 4>&{answers}'
    browser = subprocess.Popen(
        [
            *("bash", "-c", shell, CHROMIUM, *FLAGS, "--remote-debugging-pipe"),
            *(f"--user-data-dir={profile}", "about:blank"),
        ],
        pass_fds=(commands, answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands)
    os.close(answers)
    try:
        yield Page(to_browser, from_browser)
    finally:
        browser.terminate()
        browser.wait(60)
        os.close(to_browser)
        os.close(from_browser)


class NoAnswer(AssertionError):
    """The browser does not answer."""


class PageLeft(Exception):
    """The browser was on its way to another page."""


class Page:
    """The one page of a browser."""

    def __init__(self, to_browser, from_browser):
        self._to = to_browser
        self._from = from_browser
        self._received = b""
        self._number = 0
        self._loads = 0
        self._session = None
        self.requests = []
        """The addresses of all requests since scripts were switched on."""
        self.complaints = []
        """Complaints of the browser: faults of scripts, violations of the policy."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self._call("Page.enable")
        self._call("Emulation.setScriptExecutionDisabled", value=True)

    def switch_scripts_on(self):
        """Run the scripts of pages from now on, and note requests and complaints."""
        self._call("Emulation.setScriptExecutionDisabled", value=False)
        for domain in ("Log", "Runtime", "Network", "Audits"):
            self._call(f"{domain}.enable")

    def resize(self, width, height):
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=True,
        )

    def open(self, address):
        loads = self._loads
        self._call("Page.navigate", url=address)
        self._wait_for_load(loads)
        while self.evaluate("location.protocol") == "about:":  # that was the empty page
            self._wait_for_load(self._loads)

    def tap(self, selector):
        """Tap the middle of an element, and wait for the page that follows."""
        loads = self._loads
        self.press(selector)
        self._wait_for_load(loads)

    def sign_in(self, base, token, path="/"):
        """Sign in anew with a token, and wait for the page that follows."""
        self._call("Network.clearBrowserCookies")
        self.open(f"{base}/login?next={path}")
        self.choose("[name=token]", token)
        self.evaluate("document.querySelector('[name=token]').form.requestSubmit()")
        self.wait_for(base + path, "nav .who")

    def mouse(self, type, x, y, **more):
        """Send an event of the mouse at a place of the window."""
        self._call("Input.dispatchMouseEvent", type=type, x=x, y=y, **more)

    def prefer(self, scheme):
        """Prefer a dark or light colour scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", features=features)

    def press(self, selector):
        """Tap the middle of an element."""
        left, top, width, height = self.box(selector)
        for type in ("mousePressed", "mouseReleased"):
            self.mouse(type, left + width / 2, top + height / 2, button="left", clickCount=1)

    def key(self, name, text="", modifiers=0):
        """Press a key, such as `Tab`; `text`: what it types, `\\r` of the enter key; `modifiers`:
        2 with Ctrl, 8 with Shift."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowRight": 39, "ArrowDown": 40}
        given = {"key": name, "code": name.strip() or "Space", "text": text}
        given["modifiers"] = modifiers
        given["windowsVirtualKeyCode"] = codes.get(name, 0)
        for type in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=type, **given)

    def write(self, selector, text):
        """Tap a field, and type into it."""
        self.press(selector)
        self._call("Input.insertText", text=text)

    def wait_for(self, address, selector="body"):
        """Wait until the address of the page begins so, and it is loaded and has an element."""

        def is_there():
            loaded = "document.readyState == 'complete'"
            there = f"location.href + ' ' + ({loaded} && !!document.querySelector({selector!r}))"
            try:
                found = self.evaluate(there) or ""
            except PageLeft:
                return False
            return found.startswith(address) and found.endswith("true")

        wait_until(is_there, lambda: self.evaluate("location.href + document.body.innerText"))

    def click(self, selector):
        """Click an element, wherever on the page it is; wait for nothing."""
        self.evaluate(f"document.querySelector({selector!r}).click()")

    def follow(self, selector, address, there="body"):
        """Click an element, and wait for another page, as `wait_for`."""
        self.evaluate("window.isLeft = true")
        self.click(selector)

        def is_other():
            try:
                return not self.evaluate("window.isLeft")
            except PageLeft:
                return False

        wait_until(is_other, self.text)
        self.wait_for(address, there)

    def choose(self, selector, value):
        self.evaluate(f"document.querySelector({selector!r}).value = {value!r}")

    def choose_file(self, selector, path):
        """Choose a file in the field of a form, as dropping it there does."""
        root = self._call("DOM.getDocument")["root"]["nodeId"]
        field = self._call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._call("DOM.setFileInputFiles", nodeId=field, files=[str(path)])

    def box(self, selector):
        """Return left, top, width and height of an element, scrolled into view."""
        return self.evaluate(
            f"(e => {{ e.scrollIntoView({{block: 'center'}}); const b = e.getBoundingClientRect();"
            f" return [b.x, b.y, b.width, b.height]; }})(document.querySelector({selector!r}))"
        )

    def text(self):
        return self.evaluate("document.body?.innerText ?? ''")  # none while a page begins

    def evaluate(self, expression):
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, (expression, found)
        return found["result"].get("value")

    def picture(self, file):
        """Take a picture; a browser whose page goes on to another one meanwhile forgets it."""
        for seconds in (20, 40, HANG_S):
            number = self._send("Page.captureScreenshot", {"captureBeyondViewport": True})
            with suppress(NoAnswer):
                data = self._answer("Page.captureScreenshot", number, seconds)["data"]
                file.write_bytes(base64.b64decode(data))
                return
        raise NoAnswer

    def _wait_for_load(self, loads):
        until = time.monotonic() + HANG_S
        while self._loads == loads:  # a page that is read live never falls silent
            self._receive(until - time.monotonic())

    def _call(self, method, **parameters):
        return self._answer(method, self._send(method, parameters), HANG_S)

    def _send(self, method, parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        return self._number

    def _answer(self, method, number, seconds):
        until = time.monotonic() + seconds
        while True:
            answer = self._receive(until - time.monotonic())
            if answer.get("id") == number:
                if "navigated" in answer.get("error", {}).get("message", ""):
                    raise PageLeft(answer)
                assert "error" not in answer, (method, answer)
                return answer["result"]

    def _receive(self, seconds=HANG_S):
        deadline = time.monotonic() + seconds
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._from], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise NoAnswer
            part = os.read(self._from, 1 << 20)
            assert part, "the browser has ended"
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        answer = json.loads(message)
        method = answer.get("method")
        self._loads += method == "Page.loadEventFired"
        if method == "Network.requestWillBeSent":
            self.requests.append(answer["params"]["request"]["url"])
        elif method in ("Runtime.exceptionThrown", "Log.entryAdded", "Audits.issueAdded"):
            self.complaints.append(answer["params"])
        return answer
