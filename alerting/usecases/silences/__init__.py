"""Silences in force, as muting, learning and figures ask for them."""
