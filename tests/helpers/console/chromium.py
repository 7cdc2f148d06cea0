"""A real Chromium, driven through its debugging pipe, with the scripts of pages switched off."""

import base64
import json
import os
import select
import subprocess
import time
from contextlib import contextmanager

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-quic", "--disable-background-networking", "--disable-component-update"),
)
HANG_S = 300.0


@contextmanager
def open_page(browser, folder):
    """Start a browser with an empty profile; yield its page."""
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    # the browser reads its commands from descriptor 3 and writes to 4
    shell = f'exec "$0" "$@" 3<&{commands} 4>&{answers}'
    process = subprocess.Popen(
        [
            *("bash", "-c", shell, browser, *FLAGS, "--remote-debugging-pipe"),
            *(f"--user-data-dir={folder / 'profile'}", "about:blank"),
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
        process.terminate()
        process.wait(60)
        os.close(to_browser)
        os.close(from_browser)


class Page:
    """The one page of a browser."""

    def __init__(self, to_browser, from_browser):
        self._to = to_browser
        self._from = from_browser
        self._received = b""
        self._number = 0
        self._loads = 0
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.call("Page.enable")
        self.call("Emulation.setScriptExecutionDisabled", value=True)

    def resize(self, width, height):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=True,
        )

    def open(self, address):
        """Go to an address, and wait until its page is loaded."""
        loads = self._loads
        self.call("Page.navigate", url=address)
        self._wait_for_load(loads)
        while self.evaluate("location.protocol") == "about:":  # that was the empty page
            self._wait_for_load(self._loads)

    def tap(self, selector):
        """Tap the middle of an element, and wait for the page that follows."""
        loads = self._loads
        self.press(selector)
        self._wait_for_load(loads)

    def press(self, selector):
        """Tap the middle of an element."""
        x, y, width, height = self.box(selector)
        for type in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                type=type,
                x=x + width / 2,
                y=y + height / 2,
                button="left",
                clickCount=1,
            )

    def write(self, selector, text):
        """Tap a field, and type into it."""
        self.press(selector)
        self.call("Input.insertText", text=text)

    def fill(self, selector, value):
        """Set the value of a field, which may be a list."""
        self.evaluate(f"document.querySelector({selector!r}).value = {value!r}")

    def box(self, selector):
        """Return left, top, width and height of an element, scrolled into view."""
        return self.evaluate(
            f"(e => {{ e.scrollIntoView({{block: 'center'}}); const b = e.getBoundingClientRect();"
            f" return [b.x, b.y, b.width, b.height]; }})(document.querySelector({selector!r}))"
        )

    def text(self):
        return self.evaluate("document.body.innerText")

    def evaluate(self, expression):
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, (expression, found)
        return found["result"].get("value")

    def picture(self, file):
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        file.write_bytes(base64.b64decode(data))

    def _wait_for_load(self, loads):
        while self._loads == loads:
            self._receive()

    def call(self, method, **parameters):
        """Send a command; return its result."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer)
                return answer["result"]

    def _receive(self):
        deadline = time.monotonic() + HANG_S
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._from], [], [], max(0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            part = os.read(self._from, 1 << 20)
            assert part, "the browser has ended"
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        answer = json.loads(message)
        self._loads += answer.get("method") == "Page.loadEventFired"
        return answer
