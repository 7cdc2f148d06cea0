"""Predicted values of a report: each sample that came, beside what was said before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from alerting.definitions.wording.language import Styled, measured, translatable
from alerting.learning.metrics.graded_values import GradedValues, ServedValues

LEAST_SAMPLES = 30  # below which nothing is concluded
LEAST_COVERAGE = 0.85  # of 90 % intervals
_NOT_PREDICTED = translatable("No predicted value was served in this period.")


@dataclass(frozen=True)
class ValueGrade:
    """How good the values of some assets were: mean absolute error of the median, and of the last
    known value, in the unit of the variable, and the share of samples in the 90 % interval. None
    without samples. `is_worse`: than the last known value, where there was one."""

    samples: int
    error: float | None
    last_error: float | None
    coverage: float | None
    is_worse: bool = False


@dataclass(frozen=True)
class ValueMetrics:
    """The grades of a variable's predicted values, of all assets together and `by_asset`.

    `predicted`: the number of predicted values.
    """

    variable: str
    unit: str | None
    predicted: int
    total: ValueGrade
    by_asset: Mapping[str, ValueGrade]


def compute_values(values: Mapping[str, ServedValues]) -> ValueMetrics | None:
    """Return the grades of a period; None without predicted values."""
    if not values:
        return None
    first = next(iter(values.values()))
    return ValueMetrics(
        variable=first.variable,
        unit=first.unit,
        predicted=sum(len(one.predicted.at) for one in values.values()),
        total=compute_grade(GradedValues.join([one.graded for one in values.values()])),
        by_asset={asset: compute_grade(one.graded) for asset, one in values.items()},
    )


def compute_grade(graded: GradedValues) -> ValueGrade:
    """Return the figures of graded samples."""
    figures = (graded.error, graded.last_error, graded.coverage)
    error, last_error, coverage = (None if np.isnan(f) else f for f in figures)
    is_worse = graded.is_worse_than_last
    return ValueGrade(len(graded.at), error, last_error, coverage, is_worse)


def value_trust(values: ValueMetrics | None) -> Literal["yes", "with_care", "no", "cannot_tell"]:
    """Return whether values can be relied on, as `value_rule` states it."""
    grade = None if values is None else values.total
    if grade is None or grade.samples < LEAST_SAMPLES or grade.coverage is None:
        return "cannot_tell"
    if grade.last_error is not None and (grade.error or 0.0) >= grade.last_error:
        return "no"
    return "yes" if grade.coverage >= LEAST_COVERAGE else "with_care"


def value_rule() -> str:
    """Return the rule of `value_trust` in words."""
    return translatable(
        "Trusted means: off by less than the last known value, and at least {share} of the samples "
        "in the 90 % interval. Cannot tell: fewer than {number} samples came.",
        share=Styled(LEAST_COVERAGE, "share"),
        number=LEAST_SAMPLES,
    )


def describe_value(values: ValueMetrics | None) -> str:
    """Return how good the values of a period were, in a sentence."""
    if values is None:
        return _NOT_PREDICTED
    grade = values.total
    if grade.error is None or grade.coverage is None:
        return translatable(
            "{predicted} values were predicted; no sample has come yet to compare them with.",
            predicted=Styled(values.predicted, ".0f"),
        )
    facts = {
        "error": measured(grade.error, ".3g", values.unit),
        "share": Styled(grade.coverage, "share"),
        "samples": Styled(grade.samples, ".0f"),
    }
    if grade.last_error is None:
        return translatable(
            "The predicted value was off by {error} on average; its 90 % interval held {share} of "
            "{samples} samples.",
            **facts,
        )
    return translatable(
        "The predicted value was off by {error} on average, the last known value by {last}; its "
        "90 % interval held {share} of {samples} samples.",
        last=measured(grade.last_error, ".3g", values.unit),
        **facts,
    )


def advise_value(values: ValueMetrics | None) -> tuple[str, ...]:
    """Return what to do about predicted values that are not trusted."""
    trust = value_trust(values)
    if values is None:
        return (
            translatable(
                "Check that the definition is active, readings arrive, and a model is in service."
            ),
        )
    found = {
        "cannot_tell": translatable("Wait, or choose a longer period: too few samples came."),
        "no": translatable(
            "The last known value alone is as good: give the model variables that move with it, "
            "and train again."
        ),
        "with_care": translatable("The intervals are too narrow: train again."),
    }
    return (found[trust],) if trust in found else ()
