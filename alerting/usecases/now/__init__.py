"""The present state of the plant: what is wrong, where, and what is not known."""
