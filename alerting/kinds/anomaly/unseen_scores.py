"""Scores of normal rows that the fit had not seen, from which the threshold of a detector is
taken."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.detection.anomalies.category_space import encode, fit_spaces
from alerting.detection.anomalies.fitting import fit_detector
from alerting.detection.anomalies.normal_space import Floats
from alerting.detection.anomalies.threshold import (
    Threshold,
    threshold_for_rate,
    threshold_for_share,
)
from alerting.detection.categories import Labels
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.model import spread_columns, usual_clear_for
from alerting.learning.features.plan import FeaturePlan
from alerting.readings.history import Millis, duration_millis

Positions = npt.NDArray[np.int64]
_FOLDS = 4
_INTERVALS = 40


class UnseenScores(NamedTuple):
    """Raw scores of normal rows that the fits had not seen, and the threshold by them."""

    scores: Floats
    threshold: Threshold


def score_unseen(
    definition: AnomalyDefinition,
    plan: FeaturePlan,
    at: Millis,
    matrix: Floats,
    categories: Labels,
) -> UnseenScores:
    """Fit four times, each time without a quarter of the rows of normal operation, and score that
    quarter. `at`: instants (ms); `categories`: None of rows that are compared with all others."""
    scores = np.empty(len(at))
    spreads = spread_columns(plan)
    for fit, unseen in split_rows(at, plan.longest_window_ms):
        spaces = fit_spaces(matrix[fit], categories[fit], spreads)
        detector = fit_detector(encode(spaces, matrix[fit], categories[fit]), spreads)
        scores[unseen] = detector.score(encode(spaces, matrix[unseen], categories[unseen]))
    return UnseenScores(scores, find_threshold(definition, plan, at, scores))


def split_rows(at: Millis, window_ms: int) -> Iterator[tuple[Positions, Positions]]:
    """Split rows into short intervals, dealt to the folds in turn; rows within a window of an
    unseen interval do not fit.

    So every fold has fitted on all regimes of the history, and its unseen rows share no reading
    with those of its fit.
    """
    length = max(window_ms, (int(at[-1]) - int(at[0])) // _INTERVALS + 1)
    of = ((at - at[0]) // length) % _FOLDS
    for number in range(_FOLDS):
        unseen = np.flatnonzero(of == number)
        if not len(unseen):
            continue
        nearest = at[unseen][np.clip(np.searchsorted(at[unseen], at), 0, len(unseen) - 1)]
        before = at[unseen][
            np.clip(np.searchsorted(at[unseen], at, side="right") - 1, 0, len(unseen) - 1)
        ]
        fit = np.flatnonzero(
            (np.abs(nearest - at) >= window_ms) & (np.abs(at - before) >= window_ms)
        )
        if len(fit) < len(at) // 4:  # a history of few windows
            fit = np.flatnonzero(of != number)
        yield fit, unseen


def find_threshold(
    definition: AnomalyDefinition, plan: FeaturePlan, at: Millis, scores: Floats
) -> Threshold:
    """Return the threshold of raw scores by the way that the definition states."""
    if definition.threshold.time_in_alarm is not None:
        return threshold_for_share(at, scores, plan.stride_ms, definition.threshold.time_in_alarm)
    apart = (
        usual_clear_for(plan)
        if definition.clear_for is None
        else duration_millis(definition.clear_for)
    )
    hold = duration_millis(definition.hold)
    per_week = definition.false_alarms_per_week
    return threshold_for_rate(
        at, scores, plan.stride_ms, max(apart, plan.stride_ms), hold, per_week
    )
