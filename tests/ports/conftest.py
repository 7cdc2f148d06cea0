"""Fixtures of this folder."""

import pytest

from tests.helpers.stores import another_real, real  # noqa: F401 - fixtures


@pytest.fixture
def stores(real):  # noqa: F811 - a fixture
    """Return new, empty stores on the real server, where each claim of a contract is made.

    The stores in memory keep the whole contract of a module in one test.
    """
    return real
