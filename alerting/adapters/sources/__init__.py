"""Readers of polled sources."""
