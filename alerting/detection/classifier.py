"""Classifier kind: scores, and the description of a predicted problem that has come."""

from datetime import datetime

import numpy as np
import numpy.typing as npt

from alerting.definitions.model import Problem
from alerting.detection.conditions import conditions_at, conditions_that_count
from alerting.detection.messages.problem_messages import (
    combined_happening_message,
    happening_message,
    instant_event_message,
)
from alerting.detection.problems import Occurrences, problem_delay, problem_samples
from alerting.readings.history import History, duration_millis, from_millis, to_millis

Scores = npt.NDArray[np.float64]


def describe_happening(
    problem: Problem, history: History, occurrences: Occurrences, at: datetime
) -> str:
    """Return what has come, as known at an instant: the value, its limit, and since when."""
    now = to_millis(at)
    begun = np.flatnonzero((occurrences.known_at <= now) & (occurrences.over_at >= now))
    since = from_millis(int(occurrences.start[begun[-1]]))
    delay = problem_delay(problem, history.asset, history.event_types)
    if (
        problem.event is not None
        and occurrences.over_at[begun[-1]] == occurrences.true_at[begun[-1]]
    ):
        return instant_event_message(problem, history.event_types, since)
    if (combination := problem.combination) is not None:
        found = conditions_at(combination, history, at - delay)
        return combined_happening_message(
            combination, history.asset, conditions_that_count(combination, found), since
        )
    ts, _ = problem_samples(problem, history)
    known = int(np.searchsorted(ts + duration_millis(delay), now, side="right"))
    value = (
        history.readings[problem.variable].dropna().iloc[known - 1]
        if problem.variable and known
        else None
    )
    return happening_message(problem, history.asset, history.event_types, value, since)
