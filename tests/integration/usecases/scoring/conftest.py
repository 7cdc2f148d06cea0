"""Fixture of the tests of scores on request."""
