"""A console in a process of its own on a database, and signed-in browsers on its pages."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress

from alerting.local.prepare import load_or_create
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import open_chromium, wait_until
from tests.helpers.console.pages import OPERATOR_TOKEN
from tests.helpers.console.server import wait_until_healthy


@contextmanager
def reader(folder, base, path="/", token=OPERATOR_TOKEN, size=(1280, 800), scheme="light"):
    """Yield a browser with scripts, signed in, on a page."""
    with open_chromium(folder) as page:
        page.resize(*size)
        page.prefer(scheme)
        page.sign_in(base, token)
        page.switch_scripts_on()
        page.open(base + path)
        wait_until(lambda: has_mark(page), page.text)
        yield page


def has_mark(page):
    """Return whether a page has had an event of the stream."""
    return page.evaluate("sessionStorage.getItem('alerting-live-mark') !== null")


def shows(page, text):
    wait_until(lambda: text in page.text(), lambda: f"{text}: {page.text()}")


@contextmanager
def console_process(uri, database, port, home, **own):
    """Yield the process of an API on a database. `own`: further variables of its environment."""
    load_or_create(home / "secrets")
    tokens = home / "tokens.json"
    tokens.write_text(json.dumps({t: {"name": n, "role": r} for t, (n, r) in TOKENS.items()}))
    tokens.chmod(0o600)
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ALERTING_")},
        "ALERTING_HOME": str(home),
        "ALERTING_MONGODB_URI": uri,
        "ALERTING_DATABASE": database,
        "ALERTING_API_PORT": str(port),
        "ALERTING_API_TOKENS_FILE": str(tokens),
        **own,
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "alerting.console.serve"],
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until_healthy(server, port)
        yield server
    finally:
        with suppress(ProcessLookupError):
            server.kill()
        server.communicate(timeout=600)
