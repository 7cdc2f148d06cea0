"""Scores on request: of an asset's latest window, of readings that are sent, and of whole files.
Nothing is stored."""
