"""Samples, columns and late parts of readings: what every store of readings computes alike."""
