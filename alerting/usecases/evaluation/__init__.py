"""Evaluate targets, live and over past times, and store the results."""
