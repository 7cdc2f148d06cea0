"""Fixtures of the tests of evaluation."""

from tests.helpers.coming_true import last_humidity  # noqa: F401 - fixture
