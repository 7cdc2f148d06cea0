"""Sections of a definition's report beside outcomes: money, operators, model, drift, data; and its
tables."""
