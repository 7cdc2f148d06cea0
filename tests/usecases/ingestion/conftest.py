"""Fixtures of ingestion's tests."""

from tests.helpers.tables import importer  # noqa: F401 - fixtures
