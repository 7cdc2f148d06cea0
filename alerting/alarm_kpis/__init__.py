"""Alarm metrics after ISA-18.2 and EEMUA 191, chattering, alarm load."""
