"""A console in its own process, and one in a thread of this process."""

import threading
import time
from contextlib import contextmanager

import httpx
import uvicorn

from alerting.console.serve import server_options
from tests.support import free_port, local_client

TOKEN = "operator-token-0123456789"
HANG_S = 600.0  # a start that takes so long, also beside much other work, hangs


def wait_until_healthy(server, port):
    deadline = time.monotonic() + HANG_S
    while time.monotonic() < deadline:
        assert server.poll() is None, server.stderr.read()
        try:
            found = local_client().get(f"http://127.0.0.1:{port}/api/v1/health")
            if found.json() == {"status": "ok"}:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("the server did not become healthy")


@contextmanager
def serving_thread(app, trusted=(), port=None, **options):
    """Yield the port of a server in this process. `trusted`: addresses of proxies."""
    port = port or free_port()
    options |= server_options(trusted)
    config = uvicorn.Config(app, host="127.0.0.1", port=port, **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    yield port
    server.should_exit = True
    thread.join()
