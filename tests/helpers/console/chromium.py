"""One page of a real browser, driven over the pipe of its DevTools."""

import json
import os
import subprocess
import time
from contextlib import contextmanager

LONGEST_WAIT = 120
"""Seconds: the limit of a hang."""

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def wait_until(true, reason=lambda: "waited in vain"):
    """Ask until it is true. Raises AssertionError with a reason after the time of a hang."""
    until = time.monotonic() + LONGEST_WAIT
    while not true():
        assert time.monotonic() < until, reason()
        time.sleep(0.02)


class Page:
    """A page of 390 pixels without scripts."""

    def __init__(self, send, receive):
        self._send = send
        self._receive = receive
        self._number = 0
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.call("Emulation.setScriptExecutionDisabled", value=True)
        size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def call(self, method, **params):
        """Send a command; return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._send.write(json.dumps(message).encode() + b"\0")
        self._send.flush()
        while True:
            answer = json.loads(self._read())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self):
        text = bytearray()
        while (byte := self._receive.read(1)) != b"\0":
            assert byte, "the browser has ended"
            text += byte
        return bytes(text)

    def evaluate(self, expression):
        """Return a value of the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, address):
        """Go to an address."""
        self.call("Page.navigate", url=address)

    def wait_for(self, address, selector="body"):
        """Wait until the address of the page begins so, and it has an element."""

        def is_there():
            there = f"location.href + ' ' + !!document.querySelector({json.dumps(selector)})"
            found = self.evaluate(there) or ""
            return found.startswith(address) and found.endswith("true")

        wait_until(is_there, lambda: self.evaluate("location.href + document.body.innerText"))

    def fill(self, selector, text):
        """Write into a field."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(text)}")

    def click(self, selector):
        """Click an element as a finger does."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")


@contextmanager
def open_page(browser, folder):
    """Start a browser with an empty profile; yield its page."""
    to_browser, ours_to = os.pipe()
    ours_from, from_browser = os.pipe()
    command = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
    process = subprocess.Popen(
        [
            *("bash", "-c", command, "bash", browser, *FLAGS, "--remote-debugging-pipe"),
            f"--user-data-dir={folder / 'profile'}",
        ],
        pass_fds=(to_browser, from_browser),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(from_browser)
    with os.fdopen(ours_to, "wb") as send, os.fdopen(ours_from, "rb") as receive:
        try:
            yield Page(send, receive)
        finally:
            process.terminate()
            process.wait(30)
