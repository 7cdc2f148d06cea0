"""The evidence for predicted values that serve without an alarm: how good they are on unseen rows,
beside the last known value and the mean.

This module needs no library of frames or models: DAG files and commands import it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil, floor, isnan, log10
from statistics import NormalDist
from typing import Any

from alerting.definitions.wording.language import spoken_share
from alerting.learning.selection.decision_rules import Objection, explain

_NORMAL = NormalDist()
_MOST_TIMES = 10  # as many values as there are: beyond that more of them are no advice
_LEAST_VALUES = 6  # unseen: of 40 results, the fewest that are learned from


@dataclass(frozen=True, kw_only=True)
class ValueTest:
    """Predicted values compared with the last known value, and with the mean of all values, on the
    same unseen rows.

    `values`: number of rows whose values came; `all_values`: of those of the training's history.
    `crps`, `error`: mean CRPS, and mean absolute error of the median, in the unit of the variable;
    `last_crps`, `last_error`: the same of the last known value; `mean_crps`, `mean_error`: of the
    mean. `explained`: share of the variance of the unseen values that the median explains (R2), NaN
    if they do not vary, and `share_explained` the share of block samples in which it is nearer to
    them than their own mean, which has seen them: None for so few that it is hard to beat.
    `coverage`: share of values inside the 90 % interval, and `width` its mean width.
    `share_better`, `better_than_mean`: share of block samples in which the predicted values have
    the lower CRPS than the last known one, and than the mean; None with fewer than two blocks.
    `confidence`: the least share required. `is_constant`: whether the predicted values hardly vary.
    `title`: the candidate in words.
    """

    variable: str
    values: int
    crps: float
    last_crps: float
    error: float
    last_error: float
    coverage: float
    share_better: float | None
    confidence: float
    mean_crps: float
    mean_error: float
    better_than_mean: float | None
    explained: float
    share_explained: float | None
    is_constant: bool
    width: float
    all_values: int
    title: str

    @property
    def least_share(self) -> float | None:
        """Return the share of block samples in which the predicted values are better than what is
        hardest to beat: the last known value, the mean, or the own mean of the unseen values if
        these are enough; None if it cannot be told: they are fewer than six, in fewer than two
        blocks, or do not vary."""
        explained = 1.0 if self.share_explained is None else self.share_explained
        shares = (self.share_better, self.better_than_mean, explained)
        if self.values < _LEAST_VALUES or isnan(self.explained) or None in shares:
            return None
        return min(share for share in shares if share is not None)

    @property
    def passed(self) -> bool:
        """Return whether the predicted values explain variance, and are better than the last known
        value and than the mean."""
        share = self.least_share
        is_better = share is not None and share >= self.confidence
        return is_better and self.explained > 0 and not self.is_constant

    @property
    def more_needed(self) -> int | None:
        """Return how many more values show the difference if it stays as it is; None if they would
        be ten times as many as there are, or more, or if there is no difference.

        The distance from chance grows with the root of the number of values, of which the same
        share is unseen.
        """
        share = self.least_share
        if share is None or not 0.5 < share < self.confidence or not self.explained > 0:
            return None
        times = (_NORMAL.inv_cdf(self.confidence) / _NORMAL.inv_cdf(share)) ** 2
        more = max(self.all_values * (times - 1), 1.0)
        unit = 10 ** max(floor(log10(more)) - 1, 0)
        return None if times > _MOST_TIMES else ceil(more / unit) * unit

    @property
    def objection(self) -> Objection | None:
        """Return why no model of these values serves; None if they may."""
        if self.passed:
            return None
        return "too_few_values" if self.least_share is None else "no_better_values"

    @property
    def message(self) -> str:
        """Describe the result in two or three sentences."""
        result = (
            f"Predicted values of {self.variable} are better than the last known one and the mean."
            if self.objection is None
            else explain(self.objection, variable=self.variable, number=self.values)
        )
        return f"{result} {self.comparison}"

    @property
    def comparison(self) -> str:
        """Return what was measured, behind the result; or what would let it be told."""
        if self.least_share is None:
            is_flat = self.values >= _LEAST_VALUES and isnan(self.explained)
            return (
                f"{'They do not vary. ' if is_flat else ''}Use a longer history, or a longer "
                "periods.test."
            )
        return (
            f"{self._shortfall}On {self.values:,} unseen values (test) they explain "
            f"{spoken_share(max(self.explained, 0.0))} of the variance and are off by "
            f"{self.error:.4g} on average, the last known one by {self.last_error:.4g}, the mean "
            f"by {self.mean_error:.4g}; the 90 % interval is {self.width:.4g} wide and "
            f"holds {spoken_share(self.coverage)}."
        )

    @property
    def _shortfall(self) -> str:
        """Return what a test that was not passed lacks, in a sentence with a space at its end."""
        share = self.least_share
        if self.passed or share is None:
            return ""
        best = self.title.capitalize()
        if self.is_constant:
            return f"{best}, the best candidate, predicts a constant. "
        is_own = self.explained <= 0 or share not in (self.share_better, self.better_than_mean)
        loss = self.last_crps if share == self.share_better else self.mean_crps
        less = 1 - self.crps / loss if loss > 0 else 0.0
        name = "the last known value" if share == self.share_better else "the mean"
        name = "the mean of the unseen values themselves" if is_own else name
        by = "" if is_own else f"{spoken_share(less)} "
        if self.explained <= 0 or (less <= 0 and not is_own):
            return f"{best}, the best candidate, is no better than {name}. "
        more = self.more_needed
        needed = (
            f"too few values; about {more:,} more values are needed"
            if more
            else "more values alone hardly help"
        )
        return (
            f"{best}, the best candidate, is {by}better than {name}, in "
            f"{int(10 * share)} of 10 draws of the unseen values (test): {needed}. "
        )

    @property
    def statistics(self) -> str:
        """Describe the comparison in figures for statisticians."""
        if self.share_better is None or self.better_than_mean is None:
            return ""
        return (
            f"CRPS of the predicted values of {self.variable} {self.crps:.4g}, of the last known "
            f"one {self.last_crps:.4g}, of the mean {self.mean_crps:.4g}; less in "
            f"{spoken_share(self.share_better)} and {spoken_share(self.better_than_mean)} of the "
            f"samples ({spoken_share(self.confidence)} needed)."
        )

    @property
    def remedy(self) -> str:
        """Return what may lead to a model after a test that was not passed."""
        return (
            f"What may help: a longer history, or variables that move with {self.variable} before "
            "it is known."
        )

    def to_document(self) -> dict[str, Any]:
        """Return figures, result and sentence; JSON-able."""
        return {
            **asdict(self),
            "passed": self.passed,
            "message": self.message,
            "statistics": self.statistics,
        }


_TESTED = (
    "values", "crps", "last_crps", "mean_crps", "error", "last_error", "mean_error", "explained",
    "coverage", "width",
)  # fmt: skip


@dataclass(frozen=True)
class ValueEvidence:
    """Evidence of a model whose values serve without an alarm. `importance`: by raw variable, its
    share of what the predicted median depends on."""

    test: ValueTest
    importance: Mapping[str, float]
    notes: Sequence[str]
    statistics: Sequence[str] = ()
    shap: None = None

    @property
    def metrics(self) -> dict[str, float]:
        """Return the figures of the test period, flat."""
        return {f"test_{name}": float(getattr(self.test, name)) for name in _TESTED}

    @property
    def summary(self) -> dict[str, Any]:
        """Return the test and the notes; JSON-able."""
        return {
            "value": self.test.to_document(),
            "notes": list(self.notes),
            "statistics": list(self.statistics),
        }

    @property
    def files(self) -> dict[str, bytes]:
        """Return summary and importance as JSON files."""
        documents = {"summary": self.summary, "importance": dict(self.importance)}
        return {f"{name}.json": json.dumps(d, indent=1).encode() for name, d in documents.items()}
