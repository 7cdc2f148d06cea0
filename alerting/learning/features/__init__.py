"""From readings to features: the plan, windows, encoding."""
