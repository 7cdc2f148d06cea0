"""The kinds of alert: one folder each, found by `registry`; and what they share."""
