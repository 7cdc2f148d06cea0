"""Fixtures of this folder."""

from tests.helpers.stores import (  # noqa: F401 - fixtures
    another_real,
    in_memory,
    real,
    stores,
)
