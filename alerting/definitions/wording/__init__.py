"""Texts: made safe to show, faults as sentences, lengths of time."""
