"""Alarm budget, alarm metrics, explanations, late data, maintenance, reports."""
