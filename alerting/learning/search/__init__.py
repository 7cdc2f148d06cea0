"""Search for the best candidate."""
