"""Leak suspects: variables that predict the label too well, or know too early."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.model import TrainedDefinition
from alerting.detection.problems import BoolArray
from alerting.learning.data.findings import Finding
from alerting.learning.features.moments import Floats
from alerting.learning.features.plan import FeaturePlan
from alerting.readings.history import History

KNOWS = 0.95  # average precision of a single column, from which on its variable is suspect
# And at least this share of the way from prevalence to perfection, so that frequent problems make
# no suspects.
LIFT = 0.5
ROWS_AT_MOST = 20_000
LEAST_POSITIVES = 10
# Rank correlation with the problem's variable at the same time stamps, from which on a variable is
# its copy.
COPIES = 0.99
LEAST_VALUES = 30


def leak_suspects(
    definition: TrainedDefinition,
    plan: FeaturePlan,
    histories: Sequence[History],
    rows: pd.DataFrame,
    label: npt.NDArray[np.int8],
    train: BoolArray,
) -> list[Finding]:
    """Find leak suspects of a plan, and a problem variable that a model may not see.

    `train`: which of the `rows` are the training part; `histories`: its readings. A suspect stays
    in the dataset: a strong cause looks the same as a leak, and only a person can tell them apart.
    """
    suspects = [
        *_early_copies(definition, plan, histories),
        *_knowing_alone(definition, plan, rows, label, np.flatnonzero(train)),
    ]
    return [*suspects, *_unseen_problem(definition, histories)]


def _unseen_problem(
    definition: TrainedDefinition, histories: Sequence[History]
) -> Iterator[Finding]:
    """Find that the problem's last values are no rival: several, or not to be seen."""
    if definition.problem.combination is not None and definition.sees_problem:
        message = (
            "The problem has several variables: what they showed last, persistence, is no "
            "candidate; the chosen model is compared with it."
        )
        yield Finding("unseen_problem", None, None, "kept", message)
        return
    unseen = [
        v
        for v in definition.problem.variables
        if definition.is_of_unit or not definition.may_see(v)
    ]
    if not any(variable in h.readings for h in histories for variable in unseen):
        return
    why = (
        "with horizon: 0s no feature comes from it"
        if definition.is_of_unit
        else "exclude or include leave it out"
    )
    message = (
        f"The model may not see {', '.join(unseen)} ({why}): its last known value, persistence, is "
        "no candidate, and the model is not compared with it."
    )
    yield Finding("unseen_problem", None, None, "kept", message)


def _knowing_alone(
    definition: TrainedDefinition,
    plan: FeaturePlan,
    rows: pd.DataFrame,
    label: npt.NDArray[np.int8],
    train: npt.NDArray[np.int64],
) -> Iterator[Finding]:
    """Find sources of which one column predicts the label; its own past is no leak."""
    of_train, weight = _sample(label[train])
    chosen = train[of_train]
    if label[chosen].sum() < LEAST_POSITIVES:
        return
    prevalence = float(np.average(label[chosen], weights=weight))
    best: dict[str, tuple[float, str]] = {}
    for column in plan.layout:
        if column.name in plan.levels or column.source in definition.problem.variables:
            continue
        values = rows[column.name].to_numpy(np.float64)[chosen]
        if np.isnan(values).all():
            continue
        ap = max(_precision(sign * values, label[chosen], weight) for sign in (1.0, -1.0))
        best[column.source] = max(best.get(column.source, (0.0, "")), (ap, column.name))
    for source, (ap, name) in best.items():
        if ap >= KNOWS and ap - prevalence >= LIFT * (1 - prevalence):
            message = (
                f"{source} alone nearly knows the label (column {name}: average precision "
                f"{ap:.2f}): it is kept; make sure that "
                "its values are known before the problem, set its delay, or exclude it."
            )
            yield Finding("leak_suspect", source, ap, "kept", message)


def _sample(label: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int64], Floats]:
    """Draw evenly spaced rows of each class, each with the rows that it stands for."""
    chosen = []
    weight = []
    for value in (0, 1):
        of_class = np.flatnonzero(label == value)
        chosen.append(of_class[:: max(1, -(-2 * len(of_class) // ROWS_AT_MOST))])
        weight.append(np.full(len(chosen[-1]), len(of_class) / max(len(chosen[-1]), 1)))
    return np.concatenate(chosen), np.concatenate(weight)


def _precision(score: Floats, label: npt.NDArray[np.int8], weight: Floats) -> float:
    """Compute the weighted average precision; missing is lowest, equals are one step."""
    order = np.argsort(-np.where(np.isnan(score), -np.inf, score), kind="stable")
    ranked = np.where(np.isnan(score), -np.inf, score)[order]
    hits = np.cumsum(label[order] * weight[order])
    all_ = np.cumsum(weight[order])
    steps = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    return float((np.diff(hits[steps], prepend=0.0) / hits[-1] * hits[steps] / all_[steps]).sum())


def _early_copies(
    definition: TrainedDefinition, plan: FeaturePlan, histories: Sequence[History]
) -> Iterator[Finding]:
    """Find variables that show at once what the problem shows after its delay."""
    for problem, number in product(definition.problem.variables, plan.numbers):
        early = [h for h in histories if h.delay(number.name) < h.delay(problem)]
        likeness = [_likeness(h, number.name, problem) for h in early if number.name != problem]
        strongest = max(likeness, default=0.0)
        if strongest >= COPIES:
            message = (
                f"{number.name} moves with {problem} at the same time stamps (rank correlation "
                f"{strongest:.2f}) but is taken as known earlier: it is kept; if both come from "
                f"one measurement, give it the delay of {problem}, or exclude it."
            )
            yield Finding("leak_suspect", number.name, strongest, "kept", message)


def _likeness(history: History, name: str, problem: str) -> float:
    """Return two variables' absolute rank correlation; 0 for too few, and a category."""
    if name not in history.readings or problem not in history.readings:
        return 0.0
    if history.readings[problem].dtype == object:
        return 0.0
    both = history.readings[[name, problem]].astype(np.float64).dropna()
    if len(both) < LEAST_VALUES or (both.nunique() < 2).any():
        return 0.0
    first, second = (both[column].rank().to_numpy(np.float64) for column in (name, problem))
    return abs(float(np.corrcoef(first, second)[0, 1]))
