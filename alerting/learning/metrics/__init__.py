"""Metrics of scores, with confidence intervals."""
