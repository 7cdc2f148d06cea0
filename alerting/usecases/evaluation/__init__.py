"""Evaluate targets, live and in the past, and keep what comes of it."""
