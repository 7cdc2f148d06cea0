"""Fixtures of this folder."""

import pytest

from alerting.adapters.mongo.mongo import MongoStores
from alerting.stores.database.documents import SCHEMA
from tests.helpers.contracts import broken_claims
from tests.helpers.databases import empty_database
from tests.helpers.stores import another_real, real  # noqa: F401 - fixtures
from tests.helpers.twins import sandbox_platform


@pytest.fixture
def stores(real):  # noqa: F811 - a fixture
    """Return new, empty stores on the real server, where each claim of a contract is made.

    The stores in memory keep the whole contract of a module in one test.
    """
    return real


@pytest.fixture
def broken(real):  # noqa: F811 - a fixture
    """Return a function that finds the broken claims of a table, on the real server and in
    memory."""

    def new_real():
        empty_database(real.database, {SCHEMA})
        return MongoStores(real.database)

    def find(claims):
        found = {
            "in memory": broken_claims(claims, sandbox_platform),
            "real": broken_claims(claims, new_real),
        }
        return {where: wrong for where, wrong in found.items() if wrong}

    return find
