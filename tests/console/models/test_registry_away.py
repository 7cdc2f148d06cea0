"""Pages while MLflow or Airflow is stopped: in time, with all else, and saying what is missing."""

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic

import httpx
import pytest
from fastapi.testclient import TestClient

from alerting.adapters.mlflow.mlflow_registry import MlflowModels
from alerting.console.app import create_app
from tests.helpers.console.api import ADMIN, TOKENS
from tests.helpers.console.server import serving_thread
from tests.support import free_port

VIEWERS = 5
"""Of each page at once."""
PAGES = ("/models/too-moist", "/models/too-moist/decide", "/api/v1/definitions/too-moist/models")
OTHERS = ("/", "/definitions", "/models", "/reports")
_ANSWERS = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("content-length", "2"); self.end_headers()
        self.wfile.write(b"OK")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@contextmanager
def silent():
    """Yield an address that takes connections and answers none."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def stopped():
    """Yield the address of a process that answered, and was then stopped."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-c", _ANSWERS, str(port)])
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(address, timeout=1)
                break
            except httpx.TransportError:
                assert server.poll() is None
        os.kill(server.pid, signal.SIGSTOP)
        yield address
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def platform(platform):
    client = TestClient(create_app(platform, TOKENS), headers=ADMIN)
    assert {client.get(path).status_code for path in (*PAGES, *OTHERS, "/platform")} == {200}
    return platform


@contextmanager
def console(platform, mlflow=None, airflow=None):
    """Yield a function that returns a page, and the seconds that it took."""
    registry = platform.runs if mlflow is None else MlflowModels(mlflow)
    made = replace(platform, runs=registry, models=registry)
    with (
        serving_thread(create_app(made, TOKENS, mlflow=mlflow, airflow=airflow)) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=ADMIN, timeout=90) as viewer,
    ):

        def get(path):
            begun = monotonic()
            answer = viewer.get(path)
            assert answer.status_code == 200
            return answer.text, monotonic() - begun

        yield get


def longest(get):
    """Return the longest time of all pages, many at once."""
    paths = [*PAGES, *OTHERS, "/platform"] * VIEWERS
    with ThreadPoolExecutor(len(paths)) as viewers:
        return max(seconds for _, seconds in viewers.map(get, paths))


@pytest.mark.parametrize("away", [silent, stopped])
def test_pages_come_in_time_for_many_viewers_and_say_what_is_missing(platform, away):
    with console(platform) as get:
        usual = longest(get)
    with away() as address, console(platform, address, address) as get:
        # two seconds of waiting, and the work of a machine that may be busy
        assert longest(get) < 2.5 + 3 * usual
        assert longest(get) < 0.5 + 3 * usual
        models, _ = get("/models/too-moist")
        assert "The registry of models cannot be read." in models
        assert "MLflow does not answer" in models
        about, _ = get("/platform")
        assert "Airflow does not answer: nothing is evaluated" in about
        assert "MLflow does not answer: pages come without" in about


def test_the_page_of_the_platform_names_none_that_answers(platform):
    port = free_port()
    server = subprocess.Popen([sys.executable, "-c", _ANSWERS, str(port)])
    address = f"http://127.0.0.1:{port}"
    try:
        with console(platform, address, address) as get:
            while "does not answer" in get("/platform")[0]:  # until it has started
                assert server.poll() is None
    finally:
        server.kill()
        server.wait()
