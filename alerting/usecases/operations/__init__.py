"""Alarm budget, alarm figures, explanations, late data, maintenance, reports."""
