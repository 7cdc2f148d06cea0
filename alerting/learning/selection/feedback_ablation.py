"""The feedback ablation: the same parameters fitted without operators' feedback, compared with the model."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alerting.definitions.model import TrainedDefinition
from alerting.learning.data.dataset import Dataset
from alerting.learning.features.encoding import Columns
from alerting.learning.metrics.metrics import row_metrics
from alerting.learning.models.calibration import Floats
from alerting.learning.models.trained import TrainedModel
from alerting.learning.search.candidates import Candidate
from alerting.learning.selection.challenger import fit_rows


@dataclass(frozen=True)
class FeedbackDifference:
    """Both models on the same rows of the test period.

    Their average precisions (None where no problem occurred there), and the rank correlation of their scores (None where one of
    them scores all rows alike).
    """

    ap: float | None
    ap_without: float | None
    correlation: float | None

    @property
    def metrics(self) -> dict[str, float]:
        """Return all defined metrics."""
        named = {"answers_test_ap": self.ap, "answers_test_ap_without": self.ap_without, "answers_correlation": self.correlation}
        return {name: value for name, value in named.items() if value is not None}

    @property
    def message(self) -> str:
        """Describe the difference in a sentence."""
        if self.ap is None or self.ap_without is None:
            text = "No problem occurred in the test period, so it is unknown whether feedback makes the model better"
        else:
            text = f"Average precision on the test period: {self.ap:.3f} with the answers, {self.ap_without:.3f} without"
        return text + ("." if self.correlation is None else f"; the scores agree by {self.correlation:.2f} (rank correlation).")


def compare_without_feedback(
    dataset: Dataset, candidate: Candidate, definition: TrainedDefinition, model: TrainedModel
) -> FeedbackDifference | None:
    """Fit the candidate once more without feedback, and compare. None if no feedback changed a row of train.

    The rows of the test period are those that no feedback put in doubt.
    """
    train = dataset.part_by_data == "train"
    if not ((dataset.part[train] != "train") | (dataset.label[train] != dataset.label_by_data[train])).any():
        return None
    matrix = Columns.from_plan(dataset.plan).matrix(dataset.rows)
    plain = fit_rows(dataset, candidate, definition, matrix, train, dataset.label_by_data, weighted=False)
    measured = dataset.measured_in("test")
    test, label = matrix[measured], dataset.label[measured]
    ours, theirs = model.estimator.margin_of(test), plain.margin_of(test)
    return FeedbackDifference(_ap(label, ours), _ap(label, theirs), _agreement(ours, theirs))


def _ap(label: npt.NDArray[np.int8], score: Floats) -> float | None:
    return row_metrics(label, score)["ap"] if len(label) else None


def _agreement(first: Floats, second: Floats) -> float | None:
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    from scipy.stats import spearmanr  # noqa: PLC0415 - takes a second to import; only a training measures

    return float(spearmanr(first, second).statistic)
