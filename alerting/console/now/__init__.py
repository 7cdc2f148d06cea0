"""The front page: what is wrong now, where, and what to do."""
