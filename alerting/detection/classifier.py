"""Classifier kind: compare the score of a model at every stride with its threshold."""

from datetime import datetime

import numpy as np
import numpy.typing as npt

from alerting.definitions.model import Problem
from alerting.detection.messages import happening_message
from alerting.detection.problems import BoolArray, Occurrences, problem_samples
from alerting.readings.history import History, Millis, duration_millis, from_millis, to_millis

Scores = npt.NDArray[np.float64]


def inside_problem(at: Millis, occurrences: Occurrences, delay: int) -> BoolArray:
    """Return whether a problem known at each instant is ongoing there: no model can predict its start then.

    `delay`: ms, of the problem's variable. An instant event is never ongoing.
    """
    inside = np.zeros(len(at), np.bool_)
    for known_at, over_at in zip(occurrences.known_at.tolist(), occurrences.over_at.tolist(), strict=True):
        inside |= (at >= known_at) & (at < over_at - delay)
    return inside


def describe_happening(problem: Problem, history: History, occurrences: Occurrences, at: datetime) -> str:
    """Return what has come, as known at an instant: the value, its limit, and since when."""
    now = to_millis(at)
    begun = np.flatnonzero((occurrences.known_at <= now) & (occurrences.over_at >= now))
    ts, _ = problem_samples(problem, history)
    known = int(np.searchsorted(ts + duration_millis(history.delay(problem.variable or "")), now, side="right"))
    value = float(history.readings[problem.variable].dropna().iloc[known - 1]) if problem.variable and known else None
    return happening_message(problem, history.asset, value, from_millis(int(occurrences.start[begun[-1]])))


def is_triggered(score: Scores, threshold: float) -> BoolArray:
    """Return whether each score is at or above the threshold; an unknown score (NaN) never triggers."""
    return score >= threshold
