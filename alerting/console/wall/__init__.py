"""The page for a screen on the wall of a hall: read from afar, without controls."""
