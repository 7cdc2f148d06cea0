"""Sinks: deliver values and alarms to other systems."""
