"""Fixtures of this folder."""

from tests.helpers.console.fake_provider import app, provider  # noqa: F401 - fixtures
from tests.helpers.stores import real  # noqa: F401 - a fixture
