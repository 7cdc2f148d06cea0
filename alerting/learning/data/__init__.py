"""From readings to a dataset: rows, labels, split, quality, leakage."""
