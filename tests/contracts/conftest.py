"""Every suite here runs against the pretended database and against a real server, and must hold for both."""

import pytest

from alerting.stores.mongo import MongoStores, open_stores
from tests.support import ensured_pretence


@pytest.fixture
def real(real_server) -> MongoStores:
    """Stores of an empty database on the real server: one for all tests, because to make its indexes takes a second."""
    with open_stores(real_server, "contracts") as stores:
        yield stores
        for name in stores.database.list_collection_names():
            stores.database[name].delete_many({})


@pytest.fixture
def pretended() -> MongoStores:
    """Stores of a new database in memory."""
    return ensured_pretence()


@pytest.fixture(params=["pretended", pytest.param("real", marks=pytest.mark.slow)])
def stores(request) -> MongoStores:
    """Stores of a new, empty database of either kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def more_stores(stores, request):
    """Makes stores of another new database of the same kind."""
    if stores.database.name == "alerting":
        return ensured_pretence
    return lambda: request.getfixturevalue("another_real")


@pytest.fixture
def another_real(real_server) -> MongoStores:
    """Stores of one more new database on the real server."""
    with open_stores(real_server, f"test-{uuid.uuid4().hex[:12]}") as stores:
        yield stores
        stores.database.client.drop_database(stores.database.name)
