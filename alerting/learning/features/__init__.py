"""Features made from readings: the plan, windows, encoding."""
