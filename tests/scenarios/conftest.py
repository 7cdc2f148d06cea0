"""Fixtures of this folder."""

import pytest

from tests.helpers.stores import REAL, another_real, in_memory, more_mongo_stores, more_stores, real  # noqa: F401 - fixtures


@pytest.fixture(params=["in_memory", REAL])
def stores(request):
    """Return new, empty stores in memory and on a real server."""
    return request.getfixturevalue(request.param)
