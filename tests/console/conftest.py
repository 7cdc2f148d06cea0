"""Fixtures of the console's tests: a platform with browsers on it."""

from unittest.mock import patch

import pytest
import starlette.testclient
from anyio.from_thread import start_blocking_portal
from fastapi.testclient import TestClient

from alerting.adapters.mongo.mongo import open_stores
from alerting.console.alarms.live_api import LiveStream
from tests.helpers.console.api import client, platform  # noqa: F401 - fixtures
from tests.helpers.console.desk import chromium, desk, plant_address  # noqa: F401 - fixtures
from tests.helpers.console.pages import browser, wall  # noqa: F401 - fixtures
from tests.helpers.console.whole_answers import WholeAnswers


@pytest.fixture(scope="module", autouse=True)
def one_event_loop():
    """Serve all requests of a file on one event loop, as a server does: a loop and threads of its
    own cost a request more than most answers."""
    with (
        patch.object(starlette.testclient, "_TestClientTransport", WholeAnswers),
        start_blocking_portal() as TestClient.portal,
    ):
        yield
    TestClient.portal = None


@pytest.fixture(scope="module")
def streams_end():
    """Let each stream of changes end before its first event."""

    async def may_stay(_):
        return False

    with patch.object(LiveStream, "_may_stay", may_stay):
        yield


@pytest.fixture
def stores(real_server, request):
    """Return stores of a database of its own: its changes are those of this test alone."""
    name = f"live-{abs(hash(request.node.name)) % 10**8}"
    with open_stores(real_server, name, prepare=True) as stores:
        yield stores
        stores.database.client.drop_database(name)
