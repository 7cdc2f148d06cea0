"""Choice among detectors without labels: surrogate measures, each of which ranks them, and the mean
of the ranks.

Goswami and others, "Unsupervised model selection for time-series anomaly detection", ICLR 2023:
finding synthetic anomalies, error of prediction, and centrality among the others; ranks are added
up (Borda). Synthetic anomalies are counted at the threshold in service, not by an area: an area
also rewards an order that no threshold uses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from alerting.detection.anomalies.normal_space import Floats

_NEAREST = 3  # of the others that count for centrality


@dataclass(frozen=True)
class Surrogates:
    """Measures of one setting: `found`, F1 of synthetic anomalies by type; `error` of prediction,
    None of a detector that expects no values; `centrality`, mean rank correlation with the nearest
    of other families. `rank`: mean of ranks, 1 is the best."""

    found: Mapping[str, float]
    error: float | None
    centrality: float
    rank: float = 0.0


def f1_at(normal: Floats, injected: Floats, threshold: float) -> float:
    """Return F1 at a threshold, with as many normal rows as injected ones."""
    if not len(injected) or not len(normal):
        return 0.0
    hits = float((injected > threshold).mean())
    alarms = float((normal > threshold).mean())
    return 2 * hits / (1 + hits + alarms)


def originals(scores: Sequence[Floats]) -> list[int]:
    """Return, of each detector's scores, the position of the first that has equal ones."""
    return [
        next(i for i, other in enumerate(scores) if np.array_equal(other, one)) for one in scores
    ]


def centralities(scores: Sequence[Floats], families: Sequence[str]) -> list[float]:
    """Return, of each detector's scores of the same rows, the mean rank correlation with its
    nearest of other families.

    Settings of one family agree because they are alike, not because they are right. It is 1 where
    there is no other family.
    """
    others = np.array([[one != other for other in families] for one in families])
    if not others.any():
        return [1.0] * len(scores)
    ranks = np.array([rankdata(one) for one in scores])
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.sqrt((ranks**2).sum(axis=1))
    alike = (ranks @ ranks.T) / np.maximum(np.outer(length, length), 1e-12)
    return [
        float(np.sort(row[other])[::-1][:_NEAREST].mean())
        for row, other in zip(alike, others, strict=True)
    ]


def mean_ranks(measured: Sequence[Surrogates]) -> list[float]:
    """Return the mean rank of each setting: synthetic anomalies by type, their errors of
    prediction, and centralities.

    The types together count as much as the two other measures. A setting without an error has the
    middle rank there.
    """
    types = list(measured[0].found)
    found = (
        np.mean([rankdata([-one.found[type] for one in measured]) for type in types], axis=0)
        if types
        else 0.0
    )
    errors = [one.error for one in measured if one.error is not None]
    of_errors = iter(rankdata(errors) * (len(measured) + 1) / (len(errors) + 1) if errors else ())
    by_error = [
        (len(measured) + 1) / 2 if one.error is None else float(next(of_errors)) for one in measured
    ]
    central = rankdata([-one.centrality for one in measured])
    return [float(value) for value in (2 * np.asarray(found) + np.asarray(by_error) + central) / 4]
