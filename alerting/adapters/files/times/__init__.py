"""Times of files: the formats, zones and counts of stamps, and the instants that they state."""
