"""Benchmarks of advice and of root causes."""
