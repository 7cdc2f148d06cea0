"""Fixtures of the console's tests: a platform with browsers on it."""

from tests.helpers.console.api import client, platform  # noqa: F401 - fixtures
from tests.helpers.console.pages import browser, wall  # noqa: F401 - fixtures
