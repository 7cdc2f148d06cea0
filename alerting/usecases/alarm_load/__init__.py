"""Alarm load: the budget, the expected load of new definitions, the plant's metrics."""
