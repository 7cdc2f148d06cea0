"""A console in its own process."""

import time

import httpx

TOKEN = "operator-token-0123456789"


def wait_until_healthy(server, port):
    for _ in range(300):
        assert server.poll() is None, server.stderr.read()
        try:
            if httpx.get(f"http://127.0.0.1:{port}/api/v1/health").json() == {"status": "ok"}:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("the server did not become healthy in a minute")
