"""What changes while a page is open, as server-sent events."""
