"""Sinks at the console: where values and alarms go out."""
