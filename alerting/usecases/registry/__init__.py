"""Model files, registered with their hashes and read only if these match."""
