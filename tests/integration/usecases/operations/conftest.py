"""Fixtures of the tests of operations."""
