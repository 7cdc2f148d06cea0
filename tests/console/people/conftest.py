"""Fixtures of this folder."""

from tests.helpers.stores import real  # noqa: F401 - a fixture
