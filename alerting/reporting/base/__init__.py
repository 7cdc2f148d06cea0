"""Shared by all reports: estimates, scores, sentences, tables, templates."""
