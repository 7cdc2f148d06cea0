"""Fixtures of ingestion's tests."""
