"""Rows of scores to resample."""

import numpy as np


def rows(n, seed=0, share=0.05):
    """Return scores that rank well but not perfectly, and are calibrated only on average."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < share).astype(np.int8)
    score = 1 / (1 + np.exp(-(rng.normal(0, 1, n) + 2.0 * label - 3.0)))
    return label, score
