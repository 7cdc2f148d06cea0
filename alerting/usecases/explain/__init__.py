"""Explanation of the state of one definition on one asset."""
