"""Every suite here runs against the pretended database and against a real server, and must hold for both."""

import uuid

import pytest

from alerting.stores.mongo import MongoStores, open_stores
from tests.support import ensured_pretence


@pytest.fixture
def real(real_server) -> MongoStores:
    """Stores of a new database on the real server."""
    with open_stores(real_server, f"test-{uuid.uuid4().hex[:12]}") as stores:
        yield stores
        stores.database.client.drop_database(stores.database.name)


@pytest.fixture
def pretended() -> MongoStores:
    """Stores of a new database in memory."""
    return ensured_pretence()


@pytest.fixture(params=["pretended", pytest.param("real", marks=pytest.mark.slow)])
def stores(request) -> MongoStores:
    """Stores of a new, empty database of either kind."""
    return request.getfixturevalue(request.param)
