"""Labels: whether the problem follows each instant, or why that is unknown.

`onset` asks whether a problem starts in (t + gap, t + gap + horizon]; `state` whether the condition
holds at some sample there, or an event goes on. With `horizon: 0s` the window is the stride that
ends at t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from alerting.deferred import np, npt, pd
from alerting.definitions.model import Problem, TrainedDefinition
from alerting.detection.counted_times import is_unknown_start, why_not_counted
from alerting.detection.problems import (
    NOT_YET,
    BoolArray,
    Occurrences,
    counted_problems,
    find_occurrences,
    find_problems,
    problem_delay,
    problem_samples,
    risk_of,
)
from alerting.detection.suppression import SuppressedInterval, is_covered
from alerting.learning.features.moments import Floats
from alerting.readings.history import History, Millis, duration_millis, millis
from alerting.readings.instants import FAR_FUTURE, NO_TIME

IMMATURE = "immature"
NO_SAMPLE = "no_sample"


@dataclass(frozen=True)
class Labels:
    """Labels of instants: 1 or 0.

    `reason`: why an instant does not count (`why_not_counted`), or why its label is not known: its
    window reaches past the known data (`immature`), or has no sample of the problem's variable
    (`no_sample`: unknown is not negative); "" where it is known. `counted`: whether live evaluation
    scores the instant. `fit`, `measured`: whether a model may learn from the row, and whether
    metrics count it. `problems`, `occurrences`: results of `counted_problems` and
    `find_occurrences`.
    """

    label: npt.NDArray[np.int8]
    reason: npt.NDArray[np.object_]
    counted: BoolArray
    fit: BoolArray
    measured: BoolArray
    problems: pd.DataFrame
    occurrences: Occurrences


def label_instants(
    definition: TrainedDefinition,
    question: Literal["onset", "state"],
    history: History,
    at: Millis,
    as_of: int,
    suppressed: Sequence[SuppressedInterval] = (),
) -> Labels:
    """Label the instants (increasing) of one asset from the point-in-time view at `as_of` (ms).

    A problem that is known makes the label 1, also if the window reaches past the known data.
    Metrics count such rows only where the recording ended with the problem before the window did:
    of the last window before `as_of` only the positive labels are known. Between its start and the
    moment at which it is known, metrics count the rows of an onset, and no model learns from them.
    """
    problem = definition.problem
    problems = find_problems(problem, history, definition.is_of_unit)
    occurrences = find_occurrences(definition, history)
    ts, bad = problem_samples(problem, history)
    after, until = (at + duration_millis(edge) for edge in definition.window)
    is_onset = question == "onset"
    if is_onset or problem.event is None:
        positive = _any_between(millis(problems["start"]) if is_onset else ts[bad], after, until)
    else:
        start = millis(problems["start"])
        end = millis(problems["end"])
        over = np.where(end == NOT_YET, FAR_FUTURE, end)
        positive = np.searchsorted(start, until, side="right") > np.searchsorted(
            over, after, side="right"
        )
    determined = until + (duration_millis(problem.hold) if is_onset else 0)
    uncounted = why_not_counted(at, occurrences, is_onset, is_suppressed=is_covered(suppressed, at))
    reason = uncounted.copy()
    mature = determined <= last_known_instant(problem, history, ts, as_of)
    if problem.event is None:
        reason[(uncounted == "") & ~_any_between(ts, after, until)] = NO_SAMPLE
    reason[(uncounted == "") & ~mature & ~positive] = IMMATURE
    is_known = reason == ""
    recorded = _recorded(problem, history, ts)
    ended = (
        bool(len(recorded))
        and bool((occurrences.recovered_at[occurrences.lasted] > recorded[-1]).any())
    ) & (determined <= as_of - _delay(problem, history))
    return Labels(
        label=positive.astype(np.int8),
        reason=reason,
        counted=uncounted == "",
        fit=is_known & ~(is_unknown_start(at, occurrences) & is_onset),
        measured=is_known & (mature | ended),
        problems=counted_problems(problems, occurrences, is_onset),
        occurrences=occurrences,
    )


def persistence(definition: TrainedDefinition, history: History, at: Millis) -> Floats:
    """Return the risk of the last known value of the problem's variable (`risk_of`); NaN without.

    Of a problem that is one value, or conditions of several variables: 1 where it was last known to
    hold, else 0. NaN for events, and where the model may not see a variable of the problem: a
    comparison with what it may not see would be unfair.
    """
    problem = definition.problem
    if not definition.sees_problem:
        return np.full(len(at), np.nan)
    ts, is_met = problem_samples(problem, history)
    risk = is_met.astype(np.float64)
    if problem.variable in history.readings and problem.equals is None:
        risk = risk_of(
            history.readings[problem.variable].dropna().to_numpy(np.float64),
            problem.above,
            problem.below,
        )
    newest = np.searchsorted(ts + _delay(problem, history), at, side="right") - 1
    return np.append(risk, np.nan)[newest]


def _any_between(instants: Millis, after: Millis, until: Millis) -> BoolArray:
    """Return for each row whether any increasing instant lies in (after, until]."""
    return np.searchsorted(instants, until, side="right") > np.searchsorted(
        instants, after, side="right"
    )


def last_known_instant(problem: Problem, history: History, samples: Millis, as_of: int) -> int:
    """Return the instant (ms) up to which the truth is known.

    Events are known as long as the asset has readings: the end of the readings is the end of
    recording.
    """
    samples = _recorded(problem, history, samples)
    if not len(samples):
        return NO_TIME
    due = int(samples[-1]) + max(int(np.median(np.diff(samples))) if len(samples) > 1 else 0, 1)
    return min(as_of - _delay(problem, history), due - 1)


def _recorded(problem: Problem, history: History, samples: Millis) -> Millis:
    """Return when the truth was recorded: samples of the problem; for events any reading."""
    return samples if problem.event is None else millis(pd.DatetimeIndex(history.readings.index))


def _delay(problem: Problem, history: History) -> int:
    return duration_millis(problem_delay(problem, history.asset, history.event_types))
