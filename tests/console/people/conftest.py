"""Fixtures of people who sign in by the plant's directory."""

from tests.helpers.console.fake_provider import app, provider  # noqa: F401 - fixtures
