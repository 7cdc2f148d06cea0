"""The baseline test: a candidate's lead over the baseline, and whether chance alone explains it."""

from dataclasses import dataclass

import numpy as np

from alerting.learning.data.dataset import Dataset
from alerting.learning.metrics.confidence import percentile_interval
from alerting.learning.metrics.metrics import Floats
from alerting.learning.search.candidates import Candidate, Fold, draw_fold, usable_folds

METRICS = {"ap": "average precision", "roc_auc": "ROC-AUC"}


@dataclass(frozen=True)
class BaselineLead:
    """95 % confidence interval of a candidate's out-of-fold metric minus the baseline's, as means over the folds."""

    metric: str
    low: float
    high: float

    @property
    def is_beyond_chance(self) -> bool:
        """Return whether the candidate is ahead even at the lower limit."""
        return self.low > 0

    @property
    def message(self) -> str:
        """Return the interval as part of a sentence."""
        return f"its {METRICS[self.metric]} less the baseline's may be {self.low:.3f} to {self.high:.3f}"


def compare_with_baseline(dataset: Dataset, candidate: Candidate, baseline: Candidate, folds: int) -> BaselineLead | None:
    """Compute the confidence interval of the lead, on the same draws of time blocks for both (`learning/metrics/bootstrap.py`).

    The comparison with persistence, itself a score, uses average precision. The comparison with prevalence, the same score for
    all, uses ROC-AUC: a random score has one half, while its average precision lies above the prevalence, and rises when rows are
    drawn twice. None where a fold has too few problems to be resampled.
    """
    metric = "ap" if baseline.params["score"] == "persistence" else "roc_auc"
    usable, _ = usable_folds(dataset, folds)
    scored = [fold for fold in usable if not np.isnan(candidate.oof[fold.test]).any()]
    differences = [
        _draw_metric(dataset, fold, candidate, metric) - _draw_metric(dataset, fold, baseline, metric) for fold in scored
    ]
    bounds = percentile_interval(np.mean(differences, axis=0)) if differences else None
    return None if bounds is None else BaselineLead(metric, *bounds)


def _draw_metric(dataset: Dataset, fold: Fold, candidate: Candidate, metric: str) -> Floats:
    return draw_fold(dataset, fold, candidate.oof[fold.test])[metric]
