"""Definitions, their versions, targets and scenario files."""
