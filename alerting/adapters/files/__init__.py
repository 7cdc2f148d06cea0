"""Readers of files of readings, events and assets."""
