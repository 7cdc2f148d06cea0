"""Shared by kinds that learn normal operation: anomaly, control chart, learned limits."""
