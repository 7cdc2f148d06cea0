"""Predicted values that serve without an alarm: their test beside the last known value, and their
evidence."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

WORSE = "worse than the last known value"


def describe_worse(error: float, last_error: float) -> list[str]:
    """Return a sentence if the median of predicted values is off by more than the last known value,
    on average on the test period; nothing otherwise."""
    if not error > last_error:
        return []
    return [
        f"On the test period its median is {WORSE}: off by {error:.4g} on average, that one by "
        f"{last_error:.4g}."
    ]


@dataclass(frozen=True)
class ValueTest:
    """Predicted values beside the last known one on the same unseen rows.

    `values`: how many came. `crps`, `error`: mean CRPS, and mean absolute error of the median, in
    the unit of the variable; `last_crps`, `last_error`: of the last known value. `coverage`: share
    that the 90 % interval held. `share_better`: of block samples in which the CRPS is less; None
    with fewer than two blocks. `confidence`: the least share that is asked.
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

    @property
    def passed(self) -> bool:
        """Return whether the predicted values are better than the last known one."""
        return self.share_better is not None and self.share_better >= self.confidence

    @property
    def message(self) -> str:
        """Describe the result in two sentences."""
        if self.share_better is None:
            return (
                f"Whether predicted values of {self.variable} are better than the last known one "
                f"cannot be told: {self.values} unseen values came. Use a longer history, or a "
                "longer periods.test."
            )
        better = "better than" if self.passed else "not better than"
        return (
            f"Predicted values of {self.variable} are {better} the last known one: on "
            f"{self.values} unseen values the CRPS is {self.crps:.4g}, that of the last known one "
            f"{self.last_crps:.4g}; it is less in {self.share_better:.0%} of the samples "
            f"({self.confidence:.0%} needed). The median is off by {self.error:.4g} on average, "
            f"the last known value by {self.last_error:.4g}; the 90 % interval holds "
            f"{self.coverage:.1%}."
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
        return {**asdict(self), "passed": self.passed, "message": self.message}


@dataclass(frozen=True)
class ValueEvidence:
    """Evidence of a model whose values serve without an alarm. `importance`: by raw variable, its
    share of what the predicted median depends on."""

    test: ValueTest
    importance: Mapping[str, float]
    notes: Sequence[str]
    shap: None = None

    @property
    def metrics(self) -> dict[str, float]:
        """Return the figures of the test period, flat."""
        names = ("values", "crps", "last_crps", "error", "last_error", "coverage")
        return {f"test_{name}": float(getattr(self.test, name)) for name in names}

    @property
    def summary(self) -> dict[str, Any]:
        """Return the test and the notes; JSON-able."""
        return {"value": self.test.to_document(), "notes": list(self.notes)}

    @property
    def files(self) -> dict[str, bytes]:
        """Return summary and importance as JSON files."""
        documents = {"summary": self.summary, "importance": dict(self.importance)}
        return {f"{name}.json": json.dumps(d, indent=1).encode() for name, d in documents.items()}
