"""Heads of text files: the lines above the rows, which name the columns and their units."""
