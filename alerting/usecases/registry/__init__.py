"""Model files: registered with their hashes, and read only when these are right."""
