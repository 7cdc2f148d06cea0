"""Fixture of the tests of models that MLflow serves."""

from tests.helpers.scored_lines import served  # noqa: F401 - fixture
