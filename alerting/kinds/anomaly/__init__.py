"""Kind `anomaly`: something is unlike normal operation."""
