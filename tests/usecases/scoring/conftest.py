"""Fixture of the tests of scores on request."""

from tests.helpers.scored_lines import served  # noqa: F401 - fixture
