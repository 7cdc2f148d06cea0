"""Import readings, events and assets."""
