"""Backtests: the episodes that a definition would have raised."""
