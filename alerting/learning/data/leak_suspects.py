"""Leak suspects of a training: variables, events and attributes that alone nearly know the label,
and a problem variable that a model may not see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.learning.data.dataset_rows import JoinedRows
from alerting.learning.data.findings import Finding
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.score_metrics import WeightedPrecision
from alerting.readings.history import Floats, History, duration_millis, has_data, millis

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
_BLOCKS = 10  # of rows, one after the other


def leak_suspects(
    definition: TrainedDefinition,
    plan: FeaturePlan,
    histories: Sequence[History],
    features: pd.DataFrame,
    rows: JoinedRows,
) -> list[Finding]:
    """Find leak suspects of a plan, and a problem variable that a model may not see.

    `histories`: readings of the training part; `features`: of the rows. A suspect
    stays in the dataset, because a strong cause looks like a leak, and only a person can tell which
    it is.
    """
    return [
        *_early_copies(definition, plan, histories),
        *_knowing_alone(definition, plan, histories, features, rows),
        *_unseen_problem(definition, histories),
    ]


def _unseen_problem(
    definition: TrainedDefinition, histories: Sequence[History]
) -> Iterator[Finding]:
    """Find that the model cannot be compared with persistence: the problem has several variables,
    or the model may not see them."""
    if definition.problem.combination is not None and definition.sees_problem:
        yield Finding(
            "unseen_problem",
            None,
            None,
            "kept",
            "The problem has several variables: what they showed last, persistence, is no "
            "candidate; the chosen model is compared with it.",
        )
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
    yield Finding(
        "unseen_problem",
        None,
        None,
        "kept",
        f"The model may not see {', '.join(unseen)} ({why}): its last known value, persistence, is "
        "no candidate, and the model is not compared with it.",
    )


def _knowing_alone(
    definition: TrainedDefinition,
    plan: FeaturePlan,
    histories: Sequence[History],
    features: pd.DataFrame,
    rows: JoinedRows,
) -> Iterator[Finding]:
    """Find sources with a column that alone predicts the label, by its values or by where it has
    none; the past of the problem's variable is no leak."""
    train = np.flatnonzero(rows.part == "train")
    of_train, weight = _sample(rows.label[train])
    chosen = train[of_train]
    label = rows.label[chosen]
    if not LEAST_POSITIVES <= label.sum() < len(label):
        return
    prevalence = float(np.average(label, weights=weight))
    best: dict[str, tuple[float, str]] = {}

    def score(source: str, title: str, *scores: Floats) -> None:
        ap = max(WeightedPrecision(label, ranking).average(weight) for ranking in scores)
        best[source] = max(best.get(source, (0.0, "")), (ap, title))

    for column in plan.layout:
        if column.source in definition.problem.variables:
            continue
        values = features[column.name].iloc[chosen]
        title = f"column {column.name}"
        if column.name in plan.levels:
            score(column.source, title, *_category_scores(values, label, weight, chosen))
        else:
            numbers = values.to_numpy(np.float64)
            score(column.source, title, numbers, -numbers)
    for name in {*plan.variables} - {*definition.problem.variables}:
        has_value = _has_value(name, histories, rows)[chosen]
        score(name, "whether it has a value", has_value, -has_value)
    for source, (ap, name) in best.items():
        if ap >= KNOWS and ap - prevalence >= LIFT * (1 - prevalence):
            yield Finding(
                "leak_suspect",
                source,
                ap,
                "kept",
                f"{source} alone nearly knows the label ({name}: average precision "
                f"{ap:.2f}): it is kept; make sure that its values are known before the problem, "
                "set its delay, or exclude it.",
            )


def _has_value(name: str, histories: Sequence[History], rows: JoinedRows) -> Floats:
    """Return 1.0 for rows whose newest reading has a value of a variable, else 0.0: features show
    earlier values, too."""
    present = np.zeros(len(rows.at))
    for history in histories:
        of_asset = rows.asset == history.asset.name
        known_at = millis(pd.DatetimeIndex(history.readings.index)) + duration_millis(
            history.delay(name)
        )
        newest = np.searchsorted(known_at, rows.at[of_asset], side="right")
        present[of_asset] = np.append(False, has_data(history, name))[newest]
    return present


def _category_scores(
    values: pd.Series[Any], label: npt.NDArray[np.int8], weight: Floats, row: npt.NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Return two scores of the values of a category, of which a missing one is a level: how rare
    each is, and the share of positive rows that it has elsewhere: a level of one block of rows
    alone says nothing."""
    code, _ = pd.factorize(values, use_na_sentinel=False)
    block = row * _BLOCKS // (row.max() + 1)
    shape = (_BLOCKS, code.max() + 1)
    cell = block * shape[1] + code
    total, positive = (
        np.bincount(cell, weights=of_rows, minlength=shape[0] * shape[1]).reshape(shape)
        for of_rows in (weight, weight * label)
    )
    prevalence = positive.sum() / total.sum()
    share = (positive.sum(axis=0) - positive + prevalence) / (total.sum(axis=0) - total + 1)
    return -total.sum(axis=0)[code], share[block, code]


def _sample(label: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int64], Floats]:
    """Draw evenly spaced rows of each class, each with the number of rows that it represents."""
    chosen = []
    weight = []
    for value in (0, 1):
        of_class = np.flatnonzero(label == value)
        chosen.append(of_class[:: max(1, -(-2 * len(of_class) // ROWS_AT_MOST))])
        weight.append(np.full(len(chosen[-1]), len(of_class) / max(len(chosen[-1]), 1)))
    return np.concatenate(chosen), np.concatenate(weight)


def _early_copies(
    definition: TrainedDefinition, plan: FeaturePlan, histories: Sequence[History]
) -> Iterator[Finding]:
    """Find variables that show at once the values that the problem's variable shows after its
    delay."""
    for problem, number in product(definition.problem.variables, plan.numbers):
        early = [h for h in histories if h.delay(number.name) < h.delay(problem)]
        likeness = [_likeness(h, number.name, problem) for h in early if number.name != problem]
        strongest = max(likeness, default=0.0)
        if strongest >= COPIES:
            yield Finding(
                "leak_suspect",
                number.name,
                strongest,
                "kept",
                f"{number.name} moves with {problem} at the same time stamps (rank correlation "
                f"{strongest:.2f}) but is taken as known earlier: it is kept; if both come from "
                f"one measurement, give it the delay of {problem}, or exclude it.",
            )


def _likeness(history: History, name: str, problem: str) -> float:
    """Return the absolute rank correlation of two variables; 0 with too few values, and for a
    category."""
    readings = history.readings
    if name not in readings or problem not in readings or readings[problem].dtype == object:
        return 0.0
    pairs = readings[[name, problem]].astype(np.float64).dropna()
    if len(pairs) < LEAST_VALUES or (pairs.nunique() < 2).any():
        return 0.0
    ranks = pairs.rank().to_numpy(np.float64)
    return abs(float(np.corrcoef(ranks[:, 0], ranks[:, 1])[0, 1]))
