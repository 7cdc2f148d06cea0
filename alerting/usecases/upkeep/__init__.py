"""Upkeep of stored data: maintenance, retention."""
