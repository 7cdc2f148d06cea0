"""Which sensors make a row unlike normal: how much of its score goes when one has the value that
the others lead to expect.

The same for every detector (occlusion; Covert and others 2021), with the conditional mean of normal
operation in place of a removed value. So a sensor is named that left its relation to the others,
also where its value alone is usual.
"""

from datetime import timedelta
from typing import NamedTuple

import numpy as np

from alerting.definitions.assets import Asset
from alerting.definitions.wording.language import Styled, Translatable, template, translatable
from alerting.detection.anomalies.normal_space import Floats
from alerting.episodes.episode import Contribution, Quantity
from alerting.kinds.anomaly.model import FittedDetector
from alerting.learning.features.plan import Column
from alerting.recommendation.messages import column_unit, column_value, describe_column

_LEVELS = ("mean", "max", "min")
_SHARE = template(
    "{what} is {value}, where {expected} would be usual beside the other variables: {share} of the "
    "score"
)
_MOST = 20


class Shown(NamedTuple):
    """A column with its value and the one that the other variables lead to expect; NaN where
    missing."""

    column: Column
    value: float
    expected: float


class Responsible(NamedTuple):
    """A variable with its share of the abnormality. `strongest`: its column farthest from the
    expected value; `level`: of it."""

    variable: str
    share: float
    strongest: Shown
    level: Shown


def responsible(fitted: FittedDetector, row: Floats) -> list[Responsible]:
    """Return the variables that make one row of features unlike normal, the most responsible first;
    shares add up to 1."""
    encoded = fitted.space.encode(row[None, :])
    whole = float(fitted.detector.score(encoded)[0])
    drops = dict[str, float]()
    repaired = dict[str, Floats]()
    groups = fitted.columns_by_variable
    for variable, columns in groups.items():
        repaired[variable] = fitted.space.expect(encoded, columns)
        drops[variable] = max(whole - float(fitted.detector.score(repaired[variable])[0]), 0.0)
    if not any(drops.values()):  # cuts of trees may be so coarse that no sensor changes it
        drops = {
            name: _distance_lost(fitted, encoded - repaired[name], columns)
            for name, columns in groups.items()
        }
    total = sum(drops.values())
    if not total:
        return []
    found = [
        _responsible(
            fitted,
            variable,
            drop / total,
            row,
            (encoded - repaired[variable])[0],
            fitted.space.decode(repaired[variable])[0],
        )
        for variable, drop in drops.items()
        if drop > 0
    ]
    return sorted(found, key=lambda one: (-one.share, one.variable))[:_MOST]


def _distance_lost(fitted: FittedDetector, change: Floats, columns: list[int]) -> float:
    """Return how much of the squared Mahalanobis distance goes with these columns: the same repair,
    by the covariance."""
    part = change[0, columns]
    return float(part @ fitted.space.precision[np.ix_(columns, columns)] @ part)


def _responsible(
    fitted: FittedDetector,
    variable: str,
    share: float,
    row: Floats,
    off: Floats,
    expected: Floats,
) -> Responsible:
    layout = fitted.plan.layout
    columns = fitted.columns_by_variable[variable]
    distance = np.where(np.isnan(row), 0.0, np.abs(off))
    strongest = max(columns, key=lambda i: float(distance[i]))
    level = next(
        (i for name in _LEVELS for i in columns if layout[i].aggregation == name), strongest
    )
    shown = [Shown(layout[i], float(row[i]), float(expected[i])) for i in (strongest, level)]
    return Responsible(variable, share, *shown)


def contributions(asset: Asset, found: list[Responsible]) -> tuple[Contribution, ...]:
    """Return them as contributions with messages; `usual` is the value that the other variables
    lead to expect."""
    return tuple(
        Contribution(
            one.variable,
            one.share,
            number(one.level.value),
            number(one.level.expected),
            translatable(
                _SHARE, **comparison(asset, one.strongest), share=Styled(one.share, "share")
            ),
            quantity=_quantity(asset, one.strongest),
        )
        for one in found
    )


def _quantity(asset: Asset, shown: Shown) -> Quantity:
    column = shown.column
    window = None if column.window_ms is None else timedelta(milliseconds=column.window_ms)
    value = number(shown.value)
    expected = number(shown.expected)
    return Quantity(
        column.aggregation, window, value, expected, column_unit(asset, column), is_unusual=True
    )


def comparison(asset: Asset, shown: Shown) -> dict[str, str | Styled | Translatable]:
    """Return the values of a sentence that compares a column with what was to be expected."""
    return {
        "what": describe_column(asset, shown.column),
        "value": column_value(asset, shown.column, number(shown.value)),
        "expected": column_value(asset, shown.column, number(shown.expected)),
    }


def number(value: float) -> float | None:
    """Return a number; None where it is missing."""
    return None if np.isnan(value) else value
