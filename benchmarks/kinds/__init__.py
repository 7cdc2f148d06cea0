"""Benchmarks of the kinds that learn: accuracy on public data, speed and memory."""
