"""The server of the lane, for the stores that have no twin in memory."""

import pytest

from tests.helpers import lane_stores


@pytest.fixture(scope="session", autouse=True)
def lane_server(request: pytest.FixtureRequest) -> None:
    """Start the session's server when the first of these stores is used."""
    lane_stores.SERVER[:] = [lambda: request.getfixturevalue("real_server")]
