"""Scores on request: of an asset, of readings sent, of files. Nothing is stored."""
