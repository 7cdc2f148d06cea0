"""Performance reports: made for a period, revised after late data, announced."""
