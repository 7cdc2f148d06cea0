"""Stores of each kind, and certificates, for tests of sinks."""

from tests.helpers.opcua_alarms import made_certificates  # noqa: F401 - fixture
from tests.helpers.stores import (  # noqa: F401 - fixtures
    in_memory,
    on_mongomock,
    real,
    stores,
)
