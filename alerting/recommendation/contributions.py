"""Contributions to a score: the share of every raw variable, in probability, as messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import isnan

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.asset_documents import Asset
from alerting.episodes.episode import Contribution, Quantity
from alerting.learning.features.plan import Column, FeaturePlan
from alerting.learning.models.trained import TrainedModel
from alerting.readings.history import column_index
from alerting.recommendation.messages import column_unit, describe_contribution, is_unusual

Floats = npt.NDArray[np.float64]
NOTABLE = 0.2  # of the share of its variable: less, and a column is not what a reason names
NEGLIGIBLE = 1e-9


@dataclass(frozen=True)
class Explanation:
    """Shares of each column in one score, in probability; they add up to `score - usual_score`."""

    shares: Floats
    score: float
    usual_score: float


def contributions(
    model: TrainedModel, row: pd.DataFrame, asset: Asset, explained: Explanation | None = None
) -> tuple[Contribution, ...]:
    """Return each raw variable's share in the score of one row, the largest first.

    Shares add up to the score minus the usual score, which is that of the margin that the model
    expects of its training rows. Variables without any share are left out. `value`, `usual` and its
    range are the variable's level; `quantity` and message are about what moved: the unusual column
    with the largest share. `explained`: the explanation of the row, computed if left out. Raises
    UserError if the row lacks columns.
    """
    explained = explained or explain(model, row)
    values = _values(model.plan, row)
    shares = explained.shares.tolist()
    found = [
        _contribution(
            model, asset, positions, shares, float(explained.shares.take(positions).sum()), values
        )
        for positions in model.plan.positions_by_source
    ]
    return tuple(
        sorted((c for c in found if abs(c.share) > NEGLIGIBLE), key=lambda c: -abs(c.share))
    )


def explain(model: TrainedModel, row: pd.DataFrame) -> Explanation:
    """Compute exact SHAP values of one row's margin, scaled to probability by (p - p0) / (f - f0).

    Tree SHAP (Lundberg et al. 2020, path-dependent) for trees, weight times distance from the mean
    for the linear model. Scaling preserves the ratios of the shares, and makes them add up after
    calibration.
    """
    return explain_matrix(model, model.estimator.columns.matrix(row)[0])


def explain_matrix(model: TrainedModel, row: Floats) -> Explanation:
    """Explain one row of the model's matrix."""
    shares, base = model.estimator.contributions(row[None, :])
    margin = base + float(shares.sum())
    score, usual = (float(p) for p in model.calibration.probability(np.array([margin, base])))
    return Explanation(shares * model.calibration.slope_between(base, margin), score, usual)


def _values(plan: FeaturePlan, row: pd.DataFrame) -> list[float | str | None]:
    [found] = row.to_numpy().tolist()
    # iterating over the names of the frame takes longer than all else here
    is_planned = row.columns.equals(column_index(plan.columns))
    if is_planned and not plan.levels:  # numbers alone, in the order of the plan
        return [None if isnan(value) else value for value in found]
    by_name = dict(zip(plan.columns if is_planned else row.columns, found, strict=True))
    values = ((name, by_name[name]) for name in plan.columns)
    return [
        None
        if value is None or (isinstance(value, float) and isnan(value))
        else str(value)
        if name in plan.levels
        else float(value)
        for name, value in values
    ]


def _contribution(
    model: TrainedModel,
    asset: Asset,
    positions: Sequence[int],
    shares: Sequence[float],
    share: float,
    values: Sequence[float | str | None],
) -> Contribution:
    layout = model.plan.layout
    named = _named(model, positions, shares, share, values)
    level = _level(layout, positions, named)
    low, high = model.usual_ranges.get(layout[level].name, (None, None))
    quantity = _quantity(model, asset, layout[named], values[named])
    return Contribution(
        variable=layout[named].source,
        share=share,
        value=values[level],
        usual=model.usual[layout[level].name],
        message=describe_contribution(asset, layout[named], quantity, share),
        usual_low=low,
        usual_high=high,
        quantity=quantity,
    )


def _named(
    model: TrainedModel,
    positions: Sequence[int],
    shares: Sequence[float],
    share: float,
    values: Sequence[float | str | None],
) -> int:
    """Return the column that a reason names: the largest unusual one of its sign.

    Its own share must be notable. If none is unusual, the variable counts by its combination with
    others: the largest.
    """
    layout = model.plan.layout
    sign = _sign(share)
    same = [i for i in positions if _sign(shares[i]) == sign] or positions
    ranked = sorted(same, key=lambda i: -abs(shares[i]))
    notable = (i for i in ranked if abs(shares[i]) >= NOTABLE * abs(share))
    return next((i for i in notable if is_unusual(values[i], *_usual(model, layout[i]))), ranked[0])


def _sign(share: float) -> int:
    return (share > 0) - (share < 0)


def _usual(
    model: TrainedModel, column: Column
) -> tuple[float | str | None, tuple[float, float] | None]:
    return model.usual[column.name], model.usual_ranges.get(column.name)


def _quantity(
    model: TrainedModel, asset: Asset, column: Column, value: float | str | None
) -> Quantity:
    usual, usual_range = _usual(model, column)
    low, high = usual_range or (None, None)
    window = None if column.window_ms is None else timedelta(milliseconds=column.window_ms)
    own = column_unit(asset, column)
    differs = is_unusual(value, usual, usual_range)
    return Quantity(column.aggregation, window, value, usual, own, differs, low, high)


def _level(layout: tuple[Column, ...], positions: Sequence[int], otherwise: int) -> int:
    """Return the column of a variable's level: its last value, or else its shortest mean."""
    for aggregation in ("last", "mean", "value"):
        for i in positions:
            if layout[i].aggregation == aggregation:
                return i
    return otherwise
