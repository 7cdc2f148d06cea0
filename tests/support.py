"""Databases for the store tests of several suites: in-memory and real."""

import importlib.util
import os
import secrets
import socket
from contextlib import contextmanager
from functools import cache

import httpx
import mongomock
import pytest

from alerting.adapters.mongo.documents import MongoDatabase
from alerting.adapters.mongo.mongo import MongoStores
from alerting.adapters.mongo.prepare import create_indexes
from alerting.adapters.mongo.transactions import MongoUnit
from tests.mongomock_patches import patch_mongomock

_CLAIMS: list[socket.socket] = []


def mongomock_database() -> MongoDatabase:
    """Return a new in-memory database, which supports indexes but no validators."""
    patch_mongomock()
    return mongomock.MongoClient(tz_aware=True)["alerting"]


class SequentialUnitOfWork:
    """Port `UnitOfWork` for mongomock, which has no sessions: each write takes effect at once, also
    those before a conflict."""

    @contextmanager
    def begin(self, attempt=0):
        yield MongoUnit()


def mongomock_stores(state_parts: int = 1) -> MongoStores:
    """Return stores of a new in-memory database with all their indexes."""
    stores = MongoStores(mongomock_database(), SequentialUnitOfWork(), state_parts)
    create_indexes(stores.database)
    return stores


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
