"""Sentences on evaluations in the language of the plant: of conditions, and of problems."""
