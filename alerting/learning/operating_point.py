"""Where the threshold is put: the most problems found within what people can bear, judged by episodes as they would be raised."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from alerting.definitions.model import OperatingPoint
from alerting.detection.classifier import triggered
from alerting.episodes.lifecycle import promised_spells
from alerting.learning.metrics import EventMetrics, Floats, ProblemSpans, count_warnable, event_metrics, problem_spans
from alerting.readings.history import Millis, millis

MOST_THRESHOLDS = 100


@dataclass(frozen=True)
class Watched:
    """What was judged over some stretch of time, and what really happened there.

    `at`, `asset`: instant (ms) and asset of each judged row. `problems`, `known`: by asset, the problems, and the instants
    (ms, increasing) at which they became known. `observed_s`: by asset, seconds of running time watched.
    """

    at: Millis
    asset: npt.NDArray[np.object_]
    problems: Mapping[str, ProblemSpans]
    known: Mapping[str, Millis]
    observed_s: Mapping[str, float]
    gap_ms: int
    horizon_ms: int


def watch(
    at: Millis,
    asset: npt.NDArray[np.object_],
    problems: pd.DataFrame,
    onset: bool,
    observed_s: Mapping[str, float],
    gap_ms: int,
    horizon_ms: int,
) -> Watched:
    """Bring judged rows and problems (columns asset, start, end, known_at) together.

    A problem counts as an event when some judged row could have warned of it in time.
    """
    spans, known = {}, {}
    for name in sorted(set(asset)):
        own = problems[problems["asset"] == name].sort_values("start")
        spans[name] = count_warnable(problem_spans(own, onset), np.sort(at[asset == name]), gap_ms, horizon_ms)
        known[name] = np.sort(millis(own["known_at"]))
    return Watched(at, asset, spans, known, observed_s, gap_ms, horizon_ms)


def spells_at(watched: Watched, score: Floats, threshold: float) -> dict[str, list[tuple[int, int]]]:
    """The episodes (raised, end) in ms that this threshold would have raised, by asset."""
    spells = {}
    for name, known in watched.known.items():
        rows = np.flatnonzero(watched.asset == name)
        rows = rows[np.argsort(watched.at[rows], kind="stable")]
        fired = triggered(score[rows], threshold)
        spells[name] = promised_spells(watched.at[rows], fired, known, watched.gap_ms + watched.horizon_ms)
    return spells


def judge_threshold(watched: Watched, score: Floats, threshold: float, seed: int, samples: int = 1000) -> EventMetrics:
    """What people would have met with this threshold."""
    return event_metrics(
        spells_at(watched, score, threshold),
        watched.problems,
        watched.gap_ms,
        watched.horizon_ms,
        watched.observed_s,
        seed,
        samples,
    )


@dataclass(frozen=True)
class ThresholdChoice:
    """The threshold, why, and every other one that was weighed.

    `finds`: whether it finds any problem within the budget. `curve`: JSON-able rows by rising threshold.
    """

    threshold: float
    finds: bool
    reason: str
    curve: tuple[dict[str, Any], ...]


def choose_threshold(watched: Watched, score: Floats, wanted: OperatingPoint, seed: int) -> ThresholdChoice:
    """Most event recall within the false alarms a week and the time in alarm that are wanted; of equals the highest threshold.

    Where nothing is found within the budget, the lowest threshold that keeps the budget is taken: it is the most that people
    agreed to bear, and the choice says so. Above all scores, nothing is ever raised: that keeps any budget.
    """
    judged = [(t, judge_threshold(watched, score, t, seed, samples=0)) for t in _thresholds(score)]
    kept = [(t, m) for t, m in judged if _within(m, wanted)]
    threshold, best = max(kept, key=lambda pair: (pair[1].event_recall or 0.0, pair[0]))
    finds = bool(best.n_found)
    if not finds:
        threshold, best = min(kept, key=lambda pair: pair[0])
    return ThresholdChoice(threshold, finds, _reason(best, wanted, finds), tuple(_point(t, m, wanted) for t, m in judged))


def _thresholds(score: Floats) -> list[float]:
    """Scores that occur, denser towards the highest, and one above them all."""
    distinct = np.unique(score[~np.isnan(score)])[::-1]
    if len(distinct) > MOST_THRESHOLDS:
        ranks = np.geomspace(1, len(distinct), MOST_THRESHOLDS) - 1
        distinct = distinct[np.unique(np.round(ranks).astype(int))]
    above = np.nextafter(distinct[0], np.inf) if len(distinct) else 1.0
    return sorted({float(above), *distinct.tolist()})


def _within(metrics: EventMetrics, wanted: OperatingPoint) -> bool:
    """Whether a budget is kept; without observed time only silence keeps it."""
    if not metrics.n_episodes:
        return True
    if metrics.false_alarms_per_week is None or metrics.time_in_alarm is None:
        return False
    return metrics.false_alarms_per_week <= wanted.false_alarms_per_week and metrics.time_in_alarm <= wanted.max_time_in_alarm


def _point(threshold: float, metrics: EventMetrics, wanted: OperatingPoint) -> dict[str, Any]:
    return {
        "threshold": threshold,
        "event_recall": metrics.event_recall,
        "false_alarms_per_week": metrics.false_alarms_per_week,
        "time_in_alarm": metrics.time_in_alarm,
        "episode_precision": metrics.episode_precision,
        "n_episodes": metrics.n_episodes,
        "within_budget": _within(metrics, wanted),
    }


def _reason(metrics: EventMetrics, wanted: OperatingPoint, finds: bool) -> str:
    budget = (
        f"{wanted.false_alarms_per_week:g} false alarms a week per asset and {wanted.max_time_in_alarm:.0%} of the time in alarm"
    )
    if finds:
        return (
            f"the most problems found within {budget}: {metrics.n_found} of {metrics.n_events}, "
            f"with {metrics.false_alarms_per_week:.2g} false alarms a week and {metrics.time_in_alarm:.1%} of the time in alarm"
        )
    found = f"none of the {metrics.n_events} problems is found" if metrics.n_events else "there is no problem to find"
    return f"{found} in the validation period within {budget}; the lowest threshold that keeps this budget was taken"
