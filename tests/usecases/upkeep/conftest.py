"""Fixtures of the tests of operations."""

from tests.helpers.stores import real  # noqa: F401 - fixture
