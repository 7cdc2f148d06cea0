"""Data sets, time and memory for several benchmarks."""
