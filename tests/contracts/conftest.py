"""Fixtures of this folder."""
