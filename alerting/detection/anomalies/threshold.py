"""The threshold of a score from its values in normal time: for a rate of false alarms, or for a
share of time in alarm.

Peaks over a threshold: scores above a high quantile come in clusters, whose maxima follow a
generalized Pareto distribution (Pickands 1975; declustering by runs: Coles 2001, chapters 4 and 5).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alerting.detection.anomalies.normal_space import Floats
from alerting.readings.history import Millis

WEEK_MS = 7 * 86_400_000
_HIGH = 0.95  # quantile from which scores count as peaks
_LEAST_PEAKS = 20  # for a distribution of their heights
_SHAPES = -0.5, 0.5
_BEYOND = 10.0  # times fewer than one in the normal time: further is no estimate
_MARGIN = 1.2


@dataclass(frozen=True)
class Threshold:
    """The value, how it was found, the normal time it rests on (weeks), and false alarms a week
    that it should give."""

    value: float
    method: str
    weeks: float
    expected: float


def threshold_for_rate(
    at: Millis, scores: Floats, stride_ms: int, apart_ms: int, hold_ms: int, per_week: float
) -> Threshold:
    """Return the threshold that normal scores pass in `per_week` episodes a week.

    `at` increases, with gaps; scores less than `apart_ms` apart are one episode, and it must last
    for `hold_ms`.
    """
    from scipy.stats import genpareto  # noqa: PLC0415 - takes half a second to import; only trainings need it

    lasting = lasting_scores(at, scores, stride_ms, hold_ms)
    weeks = len(at) * stride_ms / WEEK_MS
    known = lasting[np.isfinite(lasting)]
    if not len(known):
        return Threshold(
            float(scores.max(initial=0.0)) * _MARGIN,
            "the largest score of too little normal time",
            weeks,
            0.0,
        )
    floor = float(np.quantile(known, _HIGH))
    peaks = cluster_peaks(at, lasting, floor, apart_ms)
    if len(peaks) < _LEAST_PEAKS or per_week * weeks * _BEYOND < 1:
        value = float(known.max()) + (_MARGIN - 1) * (float(known.max()) - float(np.median(known)))
        return Threshold(
            value, _too_little(weeks, len(peaks), per_week), weeks, 1 / max(weeks, 1e-9)
        )
    rate = len(peaks) / weeks
    if rate <= per_week:
        return Threshold(floor, "the 95 % quantile: scores pass it seldom enough", weeks, rate)
    shape, _, size = genpareto.fit(peaks - floor, floc=0.0)
    if not _SHAPES[0] <= shape <= _SHAPES[1]:
        shape = float(np.clip(shape, *_SHAPES))
        size = float(np.mean(peaks - floor)) * (1 - shape)
    value = floor + float(genpareto.isf(per_week / rate, shape, 0.0, size))
    method = f"peaks over a threshold: generalized Pareto, shape {shape:.2g}, of {len(peaks)} peaks"
    return Threshold(value, method, weeks, per_week)


def threshold_for_share(at: Millis, scores: Floats, stride_ms: int, share: float) -> Threshold:
    """Return the threshold that this share of normal scores passes."""
    value = float(np.quantile(scores, 1 - share))
    return Threshold(
        value,
        f"the {1 - share:.4g} quantile of normal scores",
        len(at) * stride_ms / WEEK_MS,
        float("nan"),
    )


def _too_little(weeks: float, peaks: int, per_week: float) -> str:
    return (
        f"the largest score and a fifth more: {weeks * 7:.2g} days of normal time with {peaks} "
        "peaks are too little to set "
        f"{per_week:g} false alarms a week"
    )


def lasting_scores(at: Millis, scores: Floats, stride_ms: int, hold_ms: int) -> Floats:
    """Return, at each instant, the score that was reached without a break for `hold_ms`; -inf where
    that is not known."""
    steps = -(-hold_ms // stride_ms)
    if not steps:
        return scores
    lasting = np.full(len(scores), -np.inf)
    if len(scores) > steps:
        windows = np.lib.stride_tricks.sliding_window_view(scores, steps + 1)
        whole = at[steps:] - at[:-steps] == steps * stride_ms
        lasting[steps:] = np.where(whole, windows.min(axis=1), -np.inf)
    return lasting


def cluster_peaks(at: Millis, scores: Floats, floor: float, apart_ms: int) -> Floats:
    """Return the largest score of each cluster of scores above `floor`; clusters are more than
    `apart_ms` apart."""
    above = np.flatnonzero(scores > floor)
    if not len(above):
        return np.empty(0)
    return np.maximum.reduceat(scores[above], first_of_clusters(at[above], apart_ms))


def first_of_clusters(at: Millis, apart_ms: int) -> npt.NDArray[np.int64]:
    """Return the positions at which a new cluster of instants begins."""
    return np.concatenate([[0], np.flatnonzero(np.diff(at) > apart_ms) + 1]).astype(np.int64)
