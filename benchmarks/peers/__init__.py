"""Peers of benchmarks: other programs that do the same work in the same run."""
