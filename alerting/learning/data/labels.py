"""Labels: whether the problem follows each instant, or why that is unknown.

`onset` asks whether a problem starts in (t + gap, t + gap + horizon]; `state` whether the condition holds at some sample there.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from alerting.definitions.model import Problem, TrainedDefinition
from alerting.detection.problems import NOT_YET, BoolArray, Occurrences, find_occurrences, find_problems, problem_samples, risk_of
from alerting.learning.features.moments import Floats
from alerting.readings.history import History, Millis, duration_millis, millis

IMMATURE = "immature"
NO_SAMPLE = "no_sample"
INSIDE_PROBLEM = "inside_problem"


@dataclass(frozen=True)
class Labels:
    """Labels of instants: 1 or 0, and why a row cannot be used ("" if it can).

    `problems`, `occurrences`: results of `find_problems` and `find_occurrences`.
    """

    label: npt.NDArray[np.int8]
    dropped: npt.NDArray[np.object_]
    problems: pd.DataFrame
    occurrences: Occurrences


def label_instants(
    definition: TrainedDefinition, question: Literal["onset", "state"], history: History, at: Millis, as_of: int
) -> Labels:
    """Label the instants of one asset from the point-in-time view at `as_of` (ms).

    A row is dropped if its window reaches past the known data (`immature`), if its window has no sample of the problem's variable
    (`no_sample`: unknown is not negative), or, for an onset, if it lies inside a problem or its recovery (`inside_problem`).
    """
    problem = definition.problem
    problems = find_problems(problem, history)
    ts, bad = problem_samples(problem, history)
    after = at + duration_millis(definition.gap)
    until = after + duration_millis(definition.horizon)
    dropped = np.full(len(at), "", dtype=object)
    if question == "onset":
        positive = _any_between(millis(problems["start"]), after, until)
        dropped[_inside(problems, at, duration_millis(problem.recovery))] = INSIDE_PROBLEM
        determined = until + duration_millis(problem.hold)
    else:
        positive = _any_between(ts[bad], after, until)
        determined = until
    if problem.variable is not None:
        dropped[~_any_between(ts, after, until)] = NO_SAMPLE
    dropped[determined > last_known_instant(problem, history, ts, as_of)] = IMMATURE
    return Labels(positive.astype(np.int8), dropped, problems, find_occurrences(problem, history))


def persistence(problem: Problem, history: History, at: Millis) -> Floats:
    """Return the risk of the last known value of the problem's variable (`risk_of`); NaN without, and for events."""
    if problem.variable is None or problem.variable not in history.readings:
        return np.full(len(at), np.nan)
    values = history.readings[problem.variable].dropna()
    known_at = millis(pd.DatetimeIndex(values.index)) + duration_millis(history.delay(problem.variable))
    newest = np.searchsorted(known_at, at, side="right") - 1
    risk = risk_of(values.to_numpy(np.float64), problem.above, problem.below)
    return np.append(risk, np.nan)[newest]


def _any_between(instants: Millis, after: Millis, until: Millis) -> BoolArray:
    """Return, for each row, whether any of the increasing instants lies in (after, until]."""
    return np.searchsorted(instants, until, side="right") > np.searchsorted(instants, after, side="right")


def _inside(problems: pd.DataFrame, at: Millis, recovery: int) -> BoolArray:
    """Return whether an instant lies in [start, end + recovery); an instant event covers its own instant."""
    if problems.empty:
        return np.zeros(len(at), np.bool_)
    start, end = millis(problems["start"]), millis(problems["end"])
    free = np.maximum(np.where(end == NOT_YET, np.iinfo(np.int64).max - recovery, end) + recovery, start + 1)
    free = np.maximum.accumulate(free)
    begun = np.searchsorted(start, at, side="right") - 1
    return (begun >= 0) & (at < free[begun])


def last_known_instant(problem: Problem, history: History, samples: Millis, as_of: int) -> int:
    """Return the instant (ms) up to which the truth is known: as_of minus the delay, at most the instant of the next due value.

    Events are known as long as the asset has readings: the end of the readings is the end of recording.
    """
    if problem.variable is None:
        samples = millis(pd.DatetimeIndex(history.readings.index))
    if not len(samples):
        return NOT_YET
    due = int(samples[-1]) + max(int(np.median(np.diff(samples))) if len(samples) > 1 else 0, 1)
    return min(as_of - duration_millis(history.delay(problem.variable or "")), due - 1)
