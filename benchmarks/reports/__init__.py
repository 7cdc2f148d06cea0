"""Benchmarks of reports: how fast they are made, and their figures beside those of peers."""
