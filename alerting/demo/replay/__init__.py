"""Recorded readings sent to a source, as a line would send them."""
