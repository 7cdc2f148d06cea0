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
