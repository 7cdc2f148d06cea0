"""For each kind: before and after a change of each field, and the outcome that it changes."""
