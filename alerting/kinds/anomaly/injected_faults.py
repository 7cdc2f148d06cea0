"""Faults that are injected into rows of normal operation: the columns of one variable become what
they would be if its readings had changed. Detectors and models are compared by them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from alerting.kinds.anomaly.normal_rows import group_rows
from alerting.learning.experiment.folds import evenly
from alerting.learning.features.plan import Column, FeaturePlan
from alerting.readings.history import Floats
from alerting.readings.variable_series import Labels

_SIZES = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0)  # in deviations of the variable's level
_SIZES_IN_TURN = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""From what only a good description of normal operation shows to what each shows: families of
detectors differ in between, wherever that is on a line."""
_HOUR_MS = 3_600_000.0


class _Cells(NamedTuple):
    """Values of one column in some rows; `elsewhere`: its values at other times; `level`: those of
    the level of the variable; `size`: of the change, with its sign."""

    values: Floats
    elsewhere: Floats
    level: Floats
    size: Floats


def _step(column: Column, cells: _Cells) -> Floats:
    is_level = column.aggregation in ("mean", "min", "max")
    return cells.values + cells.size if is_level else cells.values


def _drift(column: Column, cells: _Cells) -> Floats:
    """A change that has grown evenly within the window."""
    if column.aggregation == "slope":
        return cells.values + cells.size * _HOUR_MS / (column.window_ms or _HOUR_MS)
    if column.aggregation == "std":
        return np.asarray(np.hypot(cells.values, cells.size / 12**0.5))
    return _step(column, cells._replace(size=cells.size / 2))


def _freeze(column: Column, cells: _Cells) -> Floats:
    """The value of another time, without any change."""
    if column.aggregation in ("std", "slope"):
        return np.where(np.isnan(cells.values), np.nan, 0.0)
    return cells.level


def _spread(column: Column, cells: _Cells) -> Floats:
    """Readings that swing around their level."""
    size = np.abs(cells.size)
    if column.aggregation == "std":
        return np.asarray(np.hypot(cells.values, size))
    return cells.values + {"min": -size, "max": size}.get(column.aggregation, np.zeros_like(size))


FAULTS: Mapping[str, Callable[[Column, _Cells], Floats]] = MappingProxyType(
    {
        "step": _step,
        "drift": _drift,
        "freeze": _freeze,
        "broken relation": lambda _, cells: cells.elsewhere,
        "spread": _spread,
    }
)


def inject_faults(
    plan: FeaturePlan,
    columns: Sequence[int],
    matrix: Floats,
    rows: Floats,
    elsewhere: Floats,
    kinds: Collection[str] = FAULTS,
    sizes: Sequence[float] = _SIZES,
    first: int = 0,
) -> dict[str, Floats]:
    """Return rows (n x k) of normal operation with each of these kinds of fault in one variable.

    `columns`: those of the variable; `matrix`: normal rows, whose deviation is the unit of the
    `sizes`, so that they are the same for every model; `elsewhere` (n x k): rows of other times;
    `first`: number of the size with which the rows begin.
    """
    level = columns[0]
    every = np.roll([side * size for size in sizes for side in (1, -1)], -first)
    size = np.resize(every, len(rows)) * np.nanstd(matrix[:, level])
    injected = {}
    for kind in kinds:
        faulty = rows.copy()
        for column in columns:
            cells = _Cells(rows[:, column], elsewhere[:, column], elsewhere[:, level], size)
            faulty[:, column] = FAULTS[kind](plan.layout[column], cells)
        injected[kind] = faulty
    return injected


def inject_in_turn(
    plan: FeaturePlan, groups: Sequence[Sequence[int]], matrix: Floats, categories: Labels
) -> Floats:
    """Return normal rows (n x k) with one fault each: kinds and variables (`groups` of columns)
    in turn, evenly over the time and each category."""
    faulty = matrix.copy()
    for which in group_rows(categories).values():
        rows = matrix[which]
        elsewhere = np.roll(rows, len(rows) // 2, axis=0)
        usable = [columns for columns in groups if not np.isnan(rows[:, columns[0]]).all()]
        order = np.random.default_rng(0).permutation(len(which))
        usable = [usable[place] for place in evenly(np.arange(len(usable)), len(order))]
        for number, columns in enumerate(usable):
            of_variable = order[number :: len(usable)]
            chosen = rows[of_variable], elsewhere[of_variable]
            injected = inject_faults(
                plan, columns, rows, *chosen, sizes=_SIZES_IN_TURN, first=number * len(of_variable)
            )
            kinds = [*injected.values()]
            for place in range(len(kinds)):
                part = slice(place, None, len(kinds))
                faulty[which[of_variable[part]]] = kinds[(place + number) % len(kinds)][part]
    return faulty
