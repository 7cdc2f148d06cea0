"""Fixtures of this folder."""

from tests.helpers.stores import (  # noqa: F401 - fixtures
    another_real,
    in_memory,
    mongo_stores,
    more_mongo_stores,
    more_stores,
    on_mongomock,
    real,
    stores,
)
