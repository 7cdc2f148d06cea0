"""Fixtures of this folder."""

from tests.helpers.stores import another_real, more_stores, pretended, real, stores  # noqa: F401 - fixtures
