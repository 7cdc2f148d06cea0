"""Fixtures of the console's tests: a platform with browsers on it."""
