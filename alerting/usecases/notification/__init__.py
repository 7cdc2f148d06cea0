"""Decide on notifications and deliver them."""
