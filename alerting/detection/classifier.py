"""Classifier kind: compare the score of a model at every stride with its threshold."""

import numpy as np
import numpy.typing as npt

from alerting.detection.problems import NOT_YET, BoolArray
from alerting.readings.instants import Millis

Scores = npt.NDArray[np.float64]


def inside_problem(at: Millis, start: Millis, end: Millis, known_at: Millis) -> BoolArray:
    """Return whether a problem known at each instant is ongoing there: no model can predict its start then.

    `start`, `end` (NOT_YET while ongoing) and `known_at` in ms, sorted by start. An instant event (end = start) is never ongoing.
    """
    inside = np.zeros(len(at), np.bool_)
    for first, last, known_from in zip(start.tolist(), end.tolist(), known_at.tolist(), strict=True):
        inside |= (at >= max(first, known_from)) & ((at < last) | (last == NOT_YET))
    return inside


def is_triggered(score: Scores, threshold: float) -> BoolArray:
    """Return whether each score is at or above the threshold; an unknown score (NaN) never triggers."""
    return score >= threshold
