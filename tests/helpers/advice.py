"""A plant of a few variables whose risk is a table of trees or weights, for tests of
recommendations."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.learning.features.plan import (
    CategorySource,
    Columns,
    Encoding,
    FeaturePlan,
    NumberSource,
)
from alerting.learning.models.trained import Estimator, NormalSample, Platt, TrainedModel
from alerting.readings.history import History
from alerting.recommendation.explanation import MARGIN, recommend
from alerting.recommendation.levers import ANY_CHANGE

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = 60_000


class Formula:
    """A fitted model without bounds: the margin is any function of the columns."""

    margin_is_probability = True

    def __init__(self, risk: Callable[..., Any]) -> None:
        self.risk = risk

    def margin(self, encoded: Any, rounds: int | None = None) -> Any:
        return np.array([self.risk(*row) for row in encoded], np.float64)

    def contributions(self, encoded: Any) -> tuple[Any, float]:
        return np.zeros(encoded.shape[1]), float(self.margin(encoded)[0])


def plan(
    names: Sequence[str],
    aggregations: Sequence[str] = ("last",),
    categories: Sequence[CategorySource] = (),
) -> FeaturePlan:
    numbers = tuple(NumberSource(name, MINUTE) for name in names)
    return FeaturePlan(
        MINUTE, (10 * MINUTE,), tuple(aggregations), numbers=numbers, categories=tuple(categories)
    )


def model_of(
    fitted: Any, of_plan: FeaturePlan, threshold: float = 0.5, normal: NormalSample | None = None
) -> TrainedModel:
    if callable(fitted):
        fitted = Formula(fitted)
    probability = fitted.margin_is_probability
    columns = Columns.from_plan(of_plan)
    calibration = (
        SimpleNamespace(probability=np.asarray, slope_between=lambda *_: 1.0)
        if probability
        else Platt(1.0, 0.0)
    )
    return TrainedModel(
        definition="d",
        revision=1,
        plan=of_plan,
        estimator=Estimator("formula", fitted, columns, Encoding()),
        calibration=calibration,  # type: ignore[arg-type] - the identity
        threshold=threshold,
        training_cutoff=AT,
        as_of=AT,
        horizon=timedelta(minutes=10),
        gap=timedelta(0),
        usual=dict.fromkeys(of_plan.columns, 0.0),
        ranges={},
        hash="",
        normal=normal,
    )


def lever(**changes: Any) -> Variable:
    return Variable(
        **{"controllable": True, "min": 0.0, "max": 10.0, "step": 1.0, "tolerance": 0.0} | changes
    )


def history(
    variables: dict[str, Variable], present: dict[str, Any], minutes: int = 20, **asset: Any
) -> History:
    """Return readings once a minute, all at their present value."""
    index = pd.date_range(AT - timedelta(minutes=minutes - 1), AT, freq="min", name="ts").as_unit(
        "ms"
    )
    columns = {
        n: np.array([v] * minutes, dtype=object if isinstance(v, str) else np.float64)
        for n, v in present.items()
    }
    return History(
        Asset(name="line", variables=variables, **asset), pd.DataFrame(columns, index=index)
    )


def assert_no_cheaper_answer(
    fitted: Any, present: tuple[float, float, float], share: float, again: bool = True
) -> None:
    """Compare the least answer for three levers a, b, c of costs 1, 2, 3 with every combination of
    their settings.

    `share`: the threshold as a share of the present risk, from MARGIN on the risk itself. NaN in
    `present`: no such value. `again`: also search a second time, and compare both answers.
    """
    made = model_of(fitted, plan("abc"))
    names = [n for n, v in zip("abc", present, strict=True) if not np.isnan(v)]
    line = history(
        {n: lever(cost=1 + i) for i, n in enumerate("abc")}, dict(zip("abc", present, strict=True))
    )
    before = _risk(fitted, np.array([present]))[0]
    threshold = before * share / MARGIN if share < MARGIN else before
    made = replace(made, threshold=threshold)
    found = recommend(made, line, AT, 3, answers=1)
    grid = np.array(list(product(*(np.arange(11.0) if n in names else [np.nan] for n in "abc"))))
    effort = np.nansum(
        (np.abs(grid - present) / 10 + ANY_CHANGE * (grid != present)) * np.array([1, 2, 3]), axis=1
    )
    under = effort[(_risk(fitted, grid) < MARGIN * threshold) & (effort > 0)]
    if len(under) and threshold <= before:
        assert (found.search, found.effort) == ("least", pytest.approx(under.min()))
    if again:
        assert recommend(made, line, AT, 3, answers=1) == found, "the same inputs, the same answer"


def _risk(fitted: Any, rows: Any) -> Any:
    margin = fitted.margin(rows)
    return margin if fitted.margin_is_probability else 1 / (1 + np.exp(-margin))
