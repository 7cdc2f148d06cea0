"""Sink documents: where values and alarms go out."""
