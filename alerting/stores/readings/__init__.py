"""Readings, events and their arrival in MongoDB."""
