"""Metrics of scores: by rows (ranking, calibration) and by the alerts of operators (events,
episodes, false alarms). And 95 % confidence intervals: of shares and rates, and of metrics over
rows by a block bootstrap, because rows near in time are not independent.

Events are never point-adjusted: an episode counts by the first problem after its raise, as its
outcome does; a chain of episodes that continue each other is one hit at most.

Künsch (1989), "The jackknife and the bootstrap for general stationary observations": whole
intervals of time are drawn with replacement, and every metric is computed from each draw.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from alerting.deferred import np, npt, pd
from alerting.detection.problem_occurrences import NOT_YET
from alerting.episodes.prediction_rule import CountedEpisode
from alerting.readings.history import DAY_MS, BoolArray, Floats, Millis, Positions, millis

Labels: TypeAlias = "npt.NDArray[np.int8]"
Occurred = Literal["in_time", "too_late", "no"]
SAMPLES = 1000
WEEK_S = 604_800.0
_FOREVER = 2**62 - 1


def row_metrics(label: Labels, score: Floats) -> dict[str, float | None]:
    """Return average precision, ROC AUC, Brier score and prevalence of rows; None with one class
    for metrics that need both."""
    from sklearn.metrics import average_precision_score, roc_auc_score  # noqa: PLC0415 - takes a second to import; only a training measures

    n = len(label)
    positives = int(np.sum(label))
    has_both = 0 < positives < n
    return {
        "ap": float(average_precision_score(label, score)) if has_both else None,
        "roc_auc": float(roc_auc_score(label, score)) if has_both else None,
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
    means = np.bincount(which, weights=score) / rows
    shares = np.bincount(which, weights=label) / rows
    return [
        {"score": mean, "observed": share, "rows": float(n)}
        for mean, share, n in zip(means.tolist(), shares.tolist(), rows.tolist(), strict=True)
    ]


def score_bins(score: Floats, bins: int = 10) -> Positions:
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
    episodes; the exact interval (Wilson, Garwood) where that is wider. `n_with_problem`: episodes
    raised when a problem that none had announced was there already: right, but too late.
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
    n_with_problem: int = 0

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

    in_time: Positions
    false: Positions
    too_late: BoolArray
    with_problem: BoolArray
    length_s: Floats
    is_found: BoolArray
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
    none = ProblemIntervals(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.bool_))
    parts = [
        _evaluate(episodes_by_asset.get(a, ()), problems_by_asset.get(a, none), gap_ms, horizon_ms)
        for a in sorted({*episodes_by_asset, *problems_by_asset}) or [""]
    ]
    evaluated = _EvaluatedRows(
        *(
            np.concatenate([getattr(p, f) for p in parts])
            for f in _EvaluatedRows.__dataclass_fields__
        )
    )
    observed = float(sum(observed_s_by_asset.values()))
    measured = _event_values(
        evaluated,
        observed,
        np.ones((1, len(evaluated.in_time))),
        np.ones((1, len(evaluated.is_found))),
    )
    rng = np.random.default_rng(seed)
    draws = _event_values(
        evaluated,
        observed,
        rng.poisson(1.0, (samples, len(evaluated.in_time))),
        rng.poisson(1.0, (samples, len(evaluated.is_found))),
    )
    if gap_ms < 0:
        measured["median_lead_time"] = np.full(1, np.nan)
        draws["median_lead_time"] = np.full(samples, np.nan)
    return EventMetrics(
        **{
            name: None if np.isnan(values[0]) else float(values[0])
            for name, values in measured.items()
        },
        n_events=len(evaluated.is_found),
        n_found=int(evaluated.is_found.sum()),
        n_episodes=len(evaluated.in_time),
        n_false_alarms=int(evaluated.false.sum()),
        n_too_late=int(evaluated.too_late.sum()),
        n_assets=len(observed_s_by_asset),
        intervals=_confidence_intervals(evaluated, observed, draws),
        n_with_problem=int(evaluated.with_problem.sum()),
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
    raised + gap. Of the unit just made any alert does."""
    return gap_ms < 0 or start > raised + gap_ms


class OpenAlarm(NamedTuple):
    """An alarm of a detector (ms); a problem that begins at most at `until` is announced."""

    raised: int
    end: int
    until: int


def lead_of_first(start: int, end: int, alarms: Sequence[OpenAlarm]) -> tuple[int, int] | None:
    """Return the position of the first alarm that finds a problem, and its lead (ms); None if there
    is none.

    An alarm finds a problem that it announces, or that goes on at some instant at which it is open.
    The lead is negative for a problem found while it lasted, and 0 if the alarm was open for longer
    than it can announce.
    """
    for position, alarm in enumerate(alarms):
        if alarm.raised > end or max(alarm.end, alarm.until) < start:
            continue
        lead = start - alarm.raised
        return position, lead if start <= alarm.until else min(lead, 0)
    return None


def _evaluate(
    episodes: Sequence[CountedEpisode], problems: ProblemIntervals, gap_ms: int, horizon_ms: int
) -> _EvaluatedRows:
    lead = np.full(len(problems.start), np.nan)
    verdicts: list[Occurred] = []
    in_time: list[int] = []
    with_problem: list[bool] = []
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
        is_ahead = which is not None and announces(
            episode.raised, int(problems.start[which]), gap_ms
        )
        is_counted = is_hit or verdict == "too_late"
        with_problem.append(
            which is not None and is_counted and not is_ahead and bool(np.isnan(lead[which]))
        )
        if which is not None and is_ahead:
            ahead = (problems.start[which] - episode.raised) / 1000.0
            lead[which] = np.nanmax([lead[which], ahead])
    false = [e.false_alarms if v == "no" else 0 for e, v in zip(episodes, verdicts, strict=True)]
    return _EvaluatedRows(
        in_time=np.array(in_time, np.int64),
        false=np.array(false, np.int64),
        too_late=np.array([v == "too_late" for v in verdicts], np.bool_),
        with_problem=np.array(with_problem, np.bool_),
        length_s=np.array([(e.ended - e.raised) / 1000.0 for e in episodes], np.float64),
        is_found=~np.isnan(lead[problems.counted]),
        lead_s=lead[problems.counted],
    )


def _event_values(
    evaluated: _EvaluatedRows, observed_s: float, episode_weight: Any, event_weight: Any
) -> dict[str, Floats]:
    """Compute each metric for each row of weights (samples x episodes, samples x events); NaN where
    undefined."""
    observed_s = observed_s or np.nan
    in_time = episode_weight @ evaluated.in_time
    false = episode_weight @ evaluated.false
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "event_recall": (event_weight @ evaluated.is_found) / event_weight.sum(axis=1),
            "false_alarms_per_week": false / (observed_s / WEEK_S),
            "episode_precision": in_time / (in_time + false),
            "time_in_alarm": np.minimum(episode_weight @ evaluated.length_s / observed_s, 1.0),
            "median_lead_time": weighted_median(
                evaluated.lead_s[evaluated.is_found], event_weight[:, evaluated.is_found]
            ),
        }


def _confidence_intervals(
    evaluated: _EvaluatedRows, observed_s: float, draws: Mapping[str, Floats]
) -> dict[str, ConfidenceInterval]:
    """Return the bootstrap intervals, made at least as wide as the exact ones where these are
    known."""
    bounds = {name: percentile_interval(values) for name, values in draws.items()}
    right = int(evaluated.in_time.sum())
    false = int(evaluated.false.sum())
    exact: dict[str, ConfidenceInterval] = {}
    if len(evaluated.is_found):
        exact["event_recall"] = wilson_interval(
            int(evaluated.is_found.sum()), len(evaluated.is_found)
        )
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


ENOUGH_BLOCKS = 20
MOST_BLOCKS = 2000
MOST_STEPS = 1000
BLOCK_SAMPLES = 500


def time_blocks(
    at: Millis, asset: npt.NDArray[np.object_], gap_ms: int, horizon_ms: int
) -> Positions:
    """Return the block of each row: intervals of one asset, numbered from 0.

    A block is a day, shorter where all rows together do not span twenty days, but at least twice
    gap + horizon, so that the rows before one problem stay together. Where there are thousands of
    blocks, neighbours are joined.
    """
    if not len(at):
        return np.empty(0, np.int64)
    first = int(at.min())
    last = int(at.max())
    length = max(2 * (gap_ms + horizon_ms), min(DAY_MS, (last - first) // ENOUGH_BLOCKS), 1)
    turns = (last - first) // length + 1
    _, number = np.unique(asset.astype(str), return_inverse=True)
    _, block = np.unique(number * turns + (at - first) // length, return_inverse=True)
    joined = int(block.max()) // MOST_BLOCKS + 1
    return np.asarray(block // joined, np.int64)


def evaluate_rows(label: Labels, score: Floats, block: Positions, seed: int) -> dict[str, Any]:
    """Compute `row_metrics`; JSON-able.

    Their confidence intervals stand under `intervals`. A metric has no interval where it is unknown
    itself, where all rows are of one block, and for a ranking whose positives, or negatives, all
    lie in one block.
    """
    metrics = row_metrics(label, score)
    intervals = {}
    for name, samples in bootstrap_rows(label, score, block, seed).items():
        value = metrics[name]
        bounds = percentile_interval(samples)
        if value is not None and bounds is not None:
            intervals[name] = list(enclosing_interval(bounds, (value, value)))
    return {**metrics, "intervals": intervals}


def bootstrap_rows(
    label: Labels, score: Floats, block: Positions, seed: int, samples: int = BLOCK_SAMPLES
) -> dict[str, Floats]:
    """Return `ap`, `roc_auc` and `brier` of each draw of blocks; NaN for a draw with one class
    only, or without blocks to draw.

    Rows are summed up once, by block and by step of the score, and a draw adds up these sums. There
    is a step at the score of every positive, or of a thousand of them, evenly by rank: then a
    metric is right to about a thousandth.
    """
    unknown = np.full(samples, np.nan)
    if not len(block) or block.max() == 0:
        return {"ap": unknown, "roc_auc": unknown, "brier": unknown}
    draws = draw_blocks(block, seed, samples)
    brier = (draws @ np.bincount(block, weights=(score - label) ** 2)) / (
        draws @ np.bincount(block).astype(np.float64)
    )
    if any(len(np.unique(block[label == value])) < 2 for value in (0, 1)):
        return {"ap": unknown, "roc_auc": unknown, "brier": brier}
    step = _steps(label, score)
    positives = draws @ _table(block[label == 1], step[label == 1], block, step)
    negatives = draws @ _table(block[label == 0], step[label == 0], block, step)
    below = np.cumsum(negatives, axis=1) - negatives / 2
    with np.errstate(invalid="ignore"):
        area: Floats = (positives * below).sum(axis=1) / (
            positives.sum(axis=1) * negatives.sum(axis=1)
        )
    return {"ap": _precisions(positives, negatives), "roc_auc": area, "brier": brier}


def reliability_with_intervals(
    label: Labels, score: Floats, block: Positions, seed: int
) -> list[dict[str, float]]:
    """Return `reliability` with the limits `low` and `high` of each bin: by bootstrap, or Wilson's
    over rows where wider."""
    points = reliability(label, score)
    if not points:
        return []
    which = score_bins(score)
    draws = draw_blocks(block, seed, BLOCK_SAMPLES)
    rows = draws @ _table(block, which, block, which)
    positives = draws @ _table(block[label == 1], which[label == 1], block, which)
    with np.errstate(invalid="ignore"):
        observed = positives / rows
    for point, drawn in zip(points, observed.T, strict=True):
        wilson = wilson_interval(round(point["observed"] * point["rows"]), point["rows"])
        low, high = enclosing_interval(wilson, percentile_interval(drawn))
        point |= {"low": low, "high": high}
    return points


def draw_blocks(block: Positions, seed: int, samples: int) -> Floats:
    """Return the number of times that each block is drawn, for every sample (samples x blocks)."""
    blocks = int(block.max()) + 1
    return (
        np.random.default_rng(seed)
        .multinomial(blocks, np.full(blocks, 1 / blocks), size=samples)
        .astype(np.float64)
    )


def _steps(label: Labels, score: Floats) -> Positions:
    """Return the step of each row, rising with its score: odd at the score of a chosen positive,
    even between two of them."""
    edges = np.unique(score[label == 1])
    if len(edges) > MOST_STEPS:
        ranked = np.sort(score[label == 1])
        edges = np.unique(
            ranked[np.linspace(0, len(ranked) - 1, MOST_STEPS).round().astype(np.int64)]
        )
    return np.asarray(
        np.searchsorted(edges, score, "left") + np.searchsorted(edges, score, "right"), np.int64
    )


def _table(block: Positions, step: Positions, blocks: Positions, steps: Positions) -> Floats:
    """Count the rows in each block and step; the table covers all `blocks` and `steps`."""
    shape = (int(blocks.max()) + 1, int(steps.max()) + 1)
    return (
        np.bincount(block * shape[1] + step, minlength=shape[0] * shape[1])
        .reshape(shape)
        .astype(np.float64)
    )


def _precisions(positives: Floats, negatives: Floats) -> Floats:
    """Return the average precision of each row of counts by rising step."""
    positives = positives[:, ::-1]
    negatives = negatives[:, ::-1]
    true = np.cumsum(positives, axis=1)
    with np.errstate(invalid="ignore"):
        precision = true / (true + np.cumsum(negatives, axis=1))
        average = np.where(positives > 0, positives * precision, 0.0).sum(axis=1) / true[:, -1]
    return np.where(negatives.any(axis=1), average, np.nan)


ConfidenceInterval = tuple[float, float]
_TAIL = 0.025
_Z = 1.959963984540054


def flatten_metrics(prefix: str, metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """Flatten metrics and their `intervals`: `test_ap`, `test_ap_low`, `test_ap_high` for the
    prefix `test`."""
    flat = {f"{prefix}_{name}": value for name, value in metrics.items() if name != "intervals"}
    for name, (low, high) in metrics.get("intervals", {}).items():
        flat |= {f"{prefix}_{name}_low": low, f"{prefix}_{name}_high": high}
    return flat


def merge_metrics(rows: Mapping[str, Any], events: Mapping[str, Any]) -> dict[str, Any]:
    """Merge metrics over rows and over events, with the intervals of both."""
    return {
        **rows,
        **events,
        "intervals": {**rows.get("intervals", {}), **events.get("intervals", {})},
    }


def wilson_interval(count: float, total: float) -> ConfidenceInterval:
    """Return the interval of a share (Wilson 1927): it stays within 0 and 1, and is right for few
    cases too."""
    n = total
    p = count / n
    centre = (p + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
    half = _Z * math.sqrt(p * (1 - p) / n + _Z * _Z / (4 * n * n)) / (1 + _Z * _Z / n)
    return (max(0.0, centre - half) if count else 0.0), (
        min(1.0, centre + half) if count < total else 1.0
    )


def poisson_interval(count: int) -> ConfidenceInterval:
    """Return the exact interval of an expected count (Garwood 1936)."""
    from scipy.special import gammaincinv  # noqa: PLC0415 - takes 15 MB; only rates with an interval need it

    low = gammaincinv(count, _TAIL) if count else 0.0
    return float(low), float(gammaincinv(count + 1, 1 - _TAIL))


def weighted_median(values: Floats, weights: npt.NDArray[Any]) -> Floats:
    """Return the median of `values` under each row of weights, between the two middle ones where
    the half lies between them; NaN where all weights are zero.

    Lead times of trainings and of reports have this one median.
    """
    if not len(values):
        return np.full(len(weights), np.nan)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    reached = np.cumsum(weights[:, order], axis=1)
    half = reached[:, -1:] / 2
    low = ordered[np.argmax(reached >= half, axis=1)]
    high = ordered[np.argmax(reached > half, axis=1)]
    return np.where(reached[:, -1] > 0, (low + high) / 2, np.nan)


def percentile_interval(values: Floats) -> ConfidenceInterval | None:
    """Return the middle 95 % of bootstrap values, in their unit; NaN is ignored, None without any
    other value."""
    present = values[~np.isnan(values)]
    if not len(present):
        return None
    low, high = np.quantile(present, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


def enclosing_interval(*intervals: ConfidenceInterval | None) -> ConfidenceInterval:
    """Return the smallest interval around all of these; None is ignored, at least one interval is
    required."""
    present = [b for b in intervals if b is not None]
    return min(low for low, _ in present), max(high for _, high in present)


class WeightedPrecision:
    """Average precision of fixed scores under changing weights: sorted once, then linear. Equal
    scores are one step; missing ones rank lowest."""

    def __init__(self, label: Labels, score: Floats) -> None:
        ranked = np.where(np.isnan(score), -np.inf, score)
        self._order = np.argsort(-ranked, kind="stable")
        ordered = ranked[self._order]
        # the last row of every run of equals
        self._last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
        self._label = label[self._order].astype(np.float64)

    def average(self, weight: npt.NDArray[Any]) -> float:
        """Return the average precision under a weighting; NaN if it leaves one class only."""
        ordered = weight[self._order].astype(np.float64)
        true = np.cumsum(ordered * self._label)[self._last]
        total = np.cumsum(ordered)[self._last]
        if true[-1] in (0, total[-1]):
            return float("nan")
        precision = np.divide(true, total, out=np.zeros_like(true), where=total > 0)
        return float(np.sum(np.diff(true, prepend=0.0) * precision) / true[-1])
