"""Metrics of scores: by rows (ranking, calibration) and by the alerts of operators (events,
episodes, false alarms).

Events are never point-adjusted: an episode counts by the first problem after its raise, as its
outcome does; a chain of episodes that continue each other is one hit at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.detection.problems import NOT_YET, BoolArray
from alerting.episodes.counting import CountedEpisode
from alerting.learning.metrics.confidence import (
    ConfidenceInterval,
    enclosing_interval,
    percentile_interval,
    poisson_interval,
    weighted_median,
    wilson_interval,
)
from alerting.readings.history import Millis, millis

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]
Counts = npt.NDArray[np.int64]
Occurred = Literal["in_time", "too_late", "no"]
SAMPLES = 1000
WEEK_S = 604_800.0
_FOREVER = np.iinfo(np.int64).max // 2


def row_metrics(label: Labels, score: Floats) -> dict[str, float | None]:
    """Return average precision, ROC AUC, Brier score and prevalence of rows; None with one class
    for metrics that need both."""
    from sklearn.metrics import average_precision_score, roc_auc_score  # noqa: PLC0415 - takes a second to import; only a training measures

    n = len(label)
    positives = int(np.sum(label))
    both = 0 < positives < n
    return {
        "ap": float(average_precision_score(label, score)) if both else None,
        "roc_auc": float(roc_auc_score(label, score)) if both else None,
        "brier": float(np.mean((score - label) ** 2)) if n else None,
        "prevalence": positives / n if n else None,
        "rows": float(n),
        "positives": float(positives),
    }


def reliability(label: Labels, score: Floats, bins: int = 10) -> list[dict[str, float]]:
    """Return the mean score and the observed share of positives in bins of equal row counts (fewer
    where scores tie)."""
    if not len(score):
        return []
    which = score_bins(score, bins)
    rows = np.bincount(which)
    means, shares = (np.bincount(which, weights=values) / rows for values in (score, label))
    return [
        {"score": mean, "observed": share, "rows": float(n)}
        for mean, share, n in zip(means.tolist(), shares.tolist(), rows.tolist(), strict=True)
    ]


def score_bins(score: Floats, bins: int = 10) -> npt.NDArray[np.int64]:
    """Return the bin of each score, from 0: bins of equal row counts, fewer where scores tie."""
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.unique(np.searchsorted(edges, score, side="right"), return_inverse=True)[1].astype(
        np.int64
    )


@dataclass(frozen=True)
class ProblemIntervals:
    """Problems of one asset in ms, sorted by start and disjoint.

    `end` equals `start` where only the start is predicted (onset); for `state` it is the last
    sample of the problem. `counted`: whether an instant was evaluated at which a warning of this
    problem would have been in time.
    """

    start: Millis
    end: Millis
    counted: BoolArray


def problem_intervals(problems: pd.DataFrame, onset: bool) -> ProblemIntervals:
    """Return the intervals of the problems of one asset, and count those outside the recovery of an
    earlier one.

    `problems`: result of `counted_problems`, sorted by start; without a column `last` its `end` is
    taken.
    """
    start = millis(problems["start"])
    last = millis(problems["last" if "last" in problems else "end"])
    end = start if onset else np.where(last == NOT_YET, _FOREVER, last)
    counted = (
        ~problems["uncounted"].to_numpy(np.bool_)
        if "uncounted" in problems
        else np.ones(len(start), np.bool_)
    )
    return ProblemIntervals(start, end, counted)


def count_warnable(
    spans: ProblemIntervals, at: Millis, gap_ms: int, horizon_ms: int
) -> ProblemIntervals:
    """Count only problems with an evaluated instant t in [start - gap - horizon, start - gap); `at`
    is increasing."""
    first = np.searchsorted(at, spans.start - gap_ms - horizon_ms, side="left")
    after = np.searchsorted(at, spans.start - gap_ms, side="left")
    return ProblemIntervals(spans.start, spans.end, spans.counted & (after > first))


@dataclass(frozen=True)
class EventMetrics:
    """Metrics of the alerts that operators would have received. Undefined metrics (no event,
    episode or observed time) are None.

    With a gap below zero (minus the stride) and the stride as horizon, they are of the unit just
    made: without any lead time. `event_recall`: share of counted problems with an episode raised
    before start - gap whose prediction window holds the start. `false_alarms_per_week`: episodes
    without a problem in (raised, last high score + gap + horizon], each as many as it has begun
    prediction windows, per asset and observed week. `episode_precision`: episodes in time, one of a
    chain, among those and false alarms; too late is neither. `time_in_alarm`: share of the observed
    time inside an episode. `median_lead_time`: seconds, of the problems found. `n_assets`: with
    observed time. `intervals`: 95 % confidence intervals by a Poisson bootstrap over events and
    episodes; the exact interval of a share (Wilson) or of a rate (Garwood) where that is wider: 5
    problems found of 5 are no proof that all are found.
    """

    event_recall: float | None
    false_alarms_per_week: float | None
    episode_precision: float | None
    time_in_alarm: float | None
    median_lead_time: float | None
    n_events: int
    n_found: int
    n_episodes: int
    n_false_alarms: int
    n_too_late: int
    n_assets: int
    intervals: dict[str, ConfidenceInterval]

    def to_document(self) -> dict[str, Any]:
        """Return the metrics as JSON-able values."""
        return asdict(self) | {
            "intervals": {name: list(bounds) for name, bounds in self.intervals.items()}
        }


@dataclass(frozen=True)
class _EvaluatedRows:
    """Episodes and counted problems of all assets, one entry each.

    `in_time`: 1 for the first episode of a chain that is in time; `false`: the number of false
    alarms.
    """

    in_time: Counts
    false: Counts
    too_late: BoolArray
    length_s: Floats
    found: BoolArray
    lead_s: Floats  # NaN where not found


def event_metrics(
    episodes_by_asset: Mapping[str, Sequence[CountedEpisode]],
    problems_by_asset: Mapping[str, ProblemIntervals],
    gap_ms: int,
    horizon_ms: int,
    observed_s_by_asset: Mapping[str, float],
    seed: int,
    samples: int = SAMPLES,
) -> EventMetrics:
    """Compute metrics of episodes against problems. `observed_s_by_asset`: evaluated running time
    (s)."""
    assets = sorted({*episodes_by_asset, *problems_by_asset})
    none = ProblemIntervals(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.bool_))
    parts = [
        _evaluate(episodes_by_asset.get(a, ()), problems_by_asset.get(a, none), gap_ms, horizon_ms)
        for a in assets
    ]
    evaluated = (
        _EvaluatedRows(
            *(
                np.concatenate([getattr(p, f) for p in parts])
                for f in _EvaluatedRows.__dataclass_fields__
            )
        )
        if parts
        else _NOTHING
    )
    observed = float(sum(observed_s_by_asset.values()))
    measured = _event_values(
        evaluated,
        observed,
        np.ones((1, len(evaluated.in_time))),
        np.ones((1, len(evaluated.found))),
    )
    rng = np.random.default_rng(seed)
    draws = _event_values(
        evaluated,
        observed,
        rng.poisson(1.0, (samples, len(evaluated.in_time))),
        rng.poisson(1.0, (samples, len(evaluated.found))),
    )
    if gap_ms < 0:
        measured["median_lead_time"] = np.full(1, np.nan)
        draws["median_lead_time"] = np.full(samples, np.nan)
    return EventMetrics(
        **{name: _or_none(values[0]) for name, values in measured.items()},
        n_events=len(evaluated.found),
        n_found=int(evaluated.found.sum()),
        n_episodes=len(evaluated.in_time),
        n_false_alarms=int(evaluated.false.sum()),
        n_too_late=int(evaluated.too_late.sum()),
        n_assets=len(observed_s_by_asset),
        intervals=_confidence_intervals(evaluated, observed, draws),
    )


def occurred_after(
    raised: int,
    problems: ProblemIntervals,
    gap_ms: int,
    horizon_ms: int,
    last_high: int | None = None,
) -> tuple[Occurred, int | None]:
    """Classify a raise by the first problem that continues in (raised, last high + gap + horizon],
    and return its index. `last_high`: the last score that held it; None: the raise.

    The raise is in time if the problem starts, or continues, after raised + gap (an onset has no
    duration). It is too late if the problem occurs only before. A gap below zero looks back to the
    unit just made.
    """
    first = int(np.searchsorted(problems.end, raised + min(gap_ms, 0), side="right"))
    until = (raised if last_high is None else last_high) + gap_ms + horizon_ms
    if first == len(problems.start) or problems.start[first] > until:
        return "no", None
    in_time = problems.end[first] > raised + gap_ms
    return ("in_time" if in_time else "too_late"), first


def announces(raised: int, start: int, gap_ms: int) -> bool:
    """Return whether an alert in the window of a problem announces its start, which lies after
    raised + gap: at the instant that shows the problem it announces nothing. Of the unit just made
    any alert does."""
    return gap_ms < 0 or start > raised + gap_ms


def _evaluate(
    episodes: Sequence[CountedEpisode], problems: ProblemIntervals, gap_ms: int, horizon_ms: int
) -> _EvaluatedRows:
    lead = np.full(len(problems.start), np.nan)
    verdicts: list[Occurred] = []
    in_time: list[int] = []
    of_chain = 0
    for episode in episodes:
        verdict, which = occurred_after(
            episode.raised, problems, gap_ms, horizon_ms, episode.last_high
        )
        of_chain = of_chain if episode.continues else 0
        is_hit = verdict == "in_time" and not of_chain
        of_chain += is_hit
        in_time.append(int(is_hit))
        verdicts.append(verdict)
        if which is not None and announces(episode.raised, int(problems.start[which]), gap_ms):
            ahead = (problems.start[which] - episode.raised) / 1000.0
            lead[which] = np.nanmax([lead[which], ahead])
    false = [e.false_alarms if v == "no" else 0 for e, v in zip(episodes, verdicts, strict=True)]
    return _EvaluatedRows(
        in_time=np.array(in_time, np.int64),
        false=np.array(false, np.int64),
        too_late=np.array([v == "too_late" for v in verdicts], np.bool_),
        length_s=np.array([(e.ended - e.raised) / 1000.0 for e in episodes], np.float64),
        found=~np.isnan(lead[problems.counted]),
        lead_s=lead[problems.counted],
    )


_NO_COUNTS = np.empty(0, np.int64)
_NO_FLAGS = np.empty(0, np.bool_)
_NOTHING = _EvaluatedRows(_NO_COUNTS, _NO_COUNTS, _NO_FLAGS, np.empty(0), _NO_FLAGS, np.empty(0))


def _event_values(
    evaluated: _EvaluatedRows, observed_s: float, episode_weight: Any, event_weight: Any
) -> dict[str, Floats]:
    """Compute each metric for each row of weights (samples x episodes, samples x events); NaN where
    undefined."""
    in_time = episode_weight @ evaluated.in_time
    false = episode_weight @ evaluated.false
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "event_recall": (event_weight @ evaluated.found) / event_weight.sum(axis=1),
            "false_alarms_per_week": false / (observed_s / WEEK_S)
            if observed_s
            else np.full(len(false), np.nan),
            "episode_precision": in_time / (in_time + false),
            "time_in_alarm": np.minimum(episode_weight @ evaluated.length_s / observed_s, 1.0)
            if observed_s
            else np.full(len(false), np.nan),
            "median_lead_time": weighted_median(
                evaluated.lead_s[evaluated.found], event_weight[:, evaluated.found]
            ),
        }


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _confidence_intervals(
    evaluated: _EvaluatedRows, observed_s: float, draws: Mapping[str, Floats]
) -> dict[str, ConfidenceInterval]:
    """Return the bootstrap intervals, made at least as wide as the exact ones where these are
    known."""
    bounds = {name: percentile_interval(values) for name, values in draws.items()}
    right = int(evaluated.in_time.sum())
    false = int(evaluated.false.sum())
    exact: dict[str, ConfidenceInterval] = {}
    if len(evaluated.found):
        exact["event_recall"] = wilson_interval(int(evaluated.found.sum()), len(evaluated.found))
    if right + false:
        exact["episode_precision"] = wilson_interval(right, right + false)
    if observed_s:
        low, high = poisson_interval(false)
        exact["false_alarms_per_week"] = (low * WEEK_S / observed_s, high * WEEK_S / observed_s)
    return {
        name: enclosing_interval(bounds[name], exact.get(name))
        for name in draws
        if bounds[name] or name in exact
    }
