"""Texts for people: cleaned for display, faults as sentences, durations."""
