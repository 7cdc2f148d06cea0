"""Metrics of single scores: how well they rank, and how well they match probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alerting.deferred import pd
from alerting.definitions.wording.language import translatable
from alerting.learning.metrics.bootstrap import (
    evaluate_rows,
    reliability_with_intervals,
    time_blocks,
)
from alerting.learning.metrics.metrics import Labels, row_metrics
from alerting.readings.history import millis

LEAST_POSITIVES = 5

Points = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class RowMetrics:
    """Metrics over scored instants whose label is known; None where one class is missing.

    `intervals`: 95 % confidence intervals of `ap`, `roc_auc` and `brier` by a bootstrap over time
    blocks of each asset.
    `persistence_ap` is that of a ranking by the last known value alone, `ap_beside_persistence` the
    model's on the same rows; `twin_ap` that of the twin in shadow, `ap_beside_twin` the refit's.
    `calibration`: the points of `learning.metrics`. `doubt`: the reason against any conclusion.
    """

    rows: int
    positives: int
    immature: int
    prevalence: float | None
    ap: float | None
    roc_auc: float | None
    brier: float | None
    brier_of_prevalence: float | None
    intervals: Mapping[str, Sequence[float]]
    persistence_ap: float | None
    ap_beside_persistence: float | None
    twin_ap: float | None
    ap_beside_twin: float | None
    calibration: Points
    doubt: str


def compute_row_metrics(
    scores: pd.DataFrame, gap_ms: int, horizon_ms: int, seed: int
) -> RowMetrics:
    """Compute metrics of `scores` (see `Material`); rows without a label only count as immature."""
    mature = scores[scores["label"].notna()]
    label = mature["label"].to_numpy(np.int8)
    score = mature["score"].to_numpy(np.float64)
    positives = int(label.sum())
    at = millis(pd.DatetimeIndex(mature["ts"]))
    block = time_blocks(at, mature["asset"].to_numpy(object), gap_ms, horizon_ms)
    metrics = evaluate_rows(label, score, block, seed)
    prevalence = metrics["prevalence"]
    persistence_ap, beside_persistence = _beside(mature, "persistence")
    twin_ap, beside_twin = _beside(mature, "twin")
    return RowMetrics(
        rows=len(label),
        positives=positives,
        immature=len(scores) - len(mature),
        prevalence=prevalence,
        ap=metrics["ap"],
        roc_auc=metrics["roc_auc"],
        brier=metrics["brier"],
        brier_of_prevalence=prevalence * (1 - prevalence) if prevalence is not None else None,
        intervals=metrics["intervals"],
        persistence_ap=persistence_ap,
        ap_beside_persistence=beside_persistence,
        twin_ap=twin_ap,
        ap_beside_twin=beside_twin,
        calibration=reliability_with_intervals(label, score, block, seed),
        doubt=_doubt(len(label), positives),
    )


def _doubt(rows: int, positives: int) -> str:
    if rows == 0:
        return translatable("no score has a known label yet")
    if positives == 0:
        return translatable("the problem followed none of {rows} scores", rows=rows)
    if positives == rows:
        return translatable("the problem followed every one of {rows} scores", rows=rows)
    few = translatable(
        "the problem followed only {positives} of {rows} scores", positives=positives, rows=rows
    )
    return few if positives < LEAST_POSITIVES else ""


def _beside(mature: pd.DataFrame, other: str) -> tuple[float | None, float | None]:
    """Return the average precision of other scores, and the model's on the same rows."""
    rows = mature[mature[other].notna()] if other in mature else mature[:0]
    label = rows["label"].to_numpy(np.int8)
    return (_ap(label, rows[other]), _ap(label, rows["score"])) if len(rows) else (None, None)


def _ap(label: Labels, score: pd.Series) -> float | None:
    return row_metrics(label, score.to_numpy(np.float64))["ap"]
