"""Free ports, a client and a real server for tests of several suites."""

import importlib.util
import os
import secrets
import socket
from functools import cache

import httpx
import pytest

_CLAIMS: list[socket.socket] = []


def free_port() -> int:
    """Return an unused port of the loopback address, which no other test on this machine is given
    before this process ends.

    It is below those that the system deals to clients and to servers that name none.
    """
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0alerting-tests-port-{port}")  # ends with this process
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _CLAIMS.append(claim)
        return port


@cache
def local_client() -> httpx.Client:
    """Return a client to poll servers of this machine: each call of `httpx.get` reads all
    certificates anew."""
    return httpx.Client(trust_env=False)


def require_real_server() -> None:
    """Skip a test if the wheel with the server is not installed; fail instead in a build, which
    must install it."""
    if importlib.util.find_spec("fiftyone") is not None:
        return
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail("the extra `embedded` is not installed, so the real database cannot be tested")
    pytest.skip("needs the extra `embedded`")
