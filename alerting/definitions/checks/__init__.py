"""Checks of a definition beyond single fields."""
