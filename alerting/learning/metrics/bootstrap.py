"""95 % confidence intervals of metrics over rows, by a block bootstrap, because rows near in time
are not independent.

Künsch (1989), "The jackknife and the bootstrap for general stationary observations": whole
intervals of time are drawn with replacement, and every metric is computed from each draw.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from alerting.learning.metrics.confidence import (
    enclosing_interval,
    percentile_interval,
    wilson_interval,
)
from alerting.learning.metrics.metrics import Floats, Labels, reliability, row_metrics, score_bins
from alerting.readings.history import Millis

Blocks = npt.NDArray[np.int64]
DAY_MS = 86_400_000
ENOUGH_BLOCKS = 20
MOST_BLOCKS = 2000
MOST_STEPS = 1000
SAMPLES = 500


def time_blocks(at: Millis, asset: npt.NDArray[np.object_], gap_ms: int, horizon_ms: int) -> Blocks:
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


def evaluate_rows(label: Labels, score: Floats, block: Blocks, seed: int) -> dict[str, Any]:
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
    label: Labels, score: Floats, block: Blocks, seed: int, samples: int = SAMPLES
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
    draws = _draws(block, seed, samples)
    brier = (draws @ np.bincount(block, weights=(score - label) ** 2)) / (
        draws @ np.bincount(block).astype(np.float64)
    )
    if any(len(np.unique(block[label == value])) < 2 for value in (0, 1)):
        return {"ap": unknown, "roc_auc": unknown, "brier": brier}
    step = _steps(label, score)
    positives, negatives = (
        draws @ _table(block[label == v], step[label == v], block, step) for v in (1, 0)
    )
    below = np.cumsum(negatives, axis=1) - negatives / 2
    with np.errstate(invalid="ignore"):
        area: Floats = (positives * below).sum(axis=1) / (
            positives.sum(axis=1) * negatives.sum(axis=1)
        )
    return {
        "ap": _precisions(positives, negatives),
        "roc_auc": area,
        "brier": brier,
    }


def reliability_with_intervals(
    label: Labels, score: Floats, block: Blocks, seed: int
) -> list[dict[str, float]]:
    """Return `reliability` with the limits `low` and `high` of each bin: by bootstrap, or Wilson's
    over rows where wider."""
    points = reliability(label, score)
    if not points:
        return []
    which = score_bins(score)
    draws = _draws(block, seed, SAMPLES)
    rows = draws @ _table(block, which, block, which)
    positives = draws @ _table(block[label == 1], which[label == 1], block, which)
    with np.errstate(invalid="ignore"):
        observed = positives / rows
    bounds = (
        enclosing_interval(
            wilson_interval(round(p["observed"] * p["rows"]), p["rows"]),
            percentile_interval(observed[:, i]),
        )
        for i, p in enumerate(points)
    )
    return [
        point | {"low": low, "high": high}
        for point, (low, high) in zip(points, bounds, strict=True)
    ]


def _draws(block: Blocks, seed: int, samples: int) -> Floats:
    """Return the number of times that each block is drawn, for every sample (samples x blocks)."""
    blocks = int(block.max()) + 1
    return (
        np.random.default_rng(seed)
        .multinomial(blocks, np.full(blocks, 1 / blocks), size=samples)
        .astype(np.float64)
    )


def _steps(label: Labels, score: Floats) -> Blocks:
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


def _table(block: Blocks, step: Blocks, blocks: Blocks, steps: Blocks) -> Floats:
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
        found = np.where(positives > 0, positives * precision, 0.0).sum(axis=1) / true[:, -1]
    return np.where(negatives.any(axis=1), found, np.nan)
