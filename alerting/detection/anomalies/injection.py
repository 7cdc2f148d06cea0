"""Synthetic anomalies put into normal readings, to choose a detector without labels (Goswami and
others, ICLR 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alerting.detection.anomalies.normal_space import Floats
from alerting.detection.categories import CategoryValues
from alerting.readings.cleaning import has_data
from alerting.readings.history import History, Millis, millis
from alerting.readings.long_history import LongHistory

AnomalyType = Literal["spike", "shift", "drift", "noise", "frozen", "other time"]
TYPES: tuple[AnomalyType, ...] = get_args(AnomalyType)
# usual deviations of a reading
_SMALLEST = 1.5
_LARGEST = 4.0
_SIDES = (-1.0, 1.0)
_SPIKES = 0.3  # share of the values of an interval


@dataclass(frozen=True)
class Injection:
    """One synthetic anomaly: of which type, in which variable, in (start, end] (ms)."""

    type: AnomalyType
    variable: str
    start: int
    end: int


class Values:
    """All values of a variable, or those in one category. One variable is in memory while their
    deviation is computed."""

    def __init__(
        self,
        history: LongHistory,
        name: str,
        categories: CategoryValues | None,
        category: str | None,
    ) -> None:
        self._history = history
        self._name = name
        self._categories = categories
        self._category = category
        every = [self._values(piece) for piece in history.pieces([name])]
        self._until = np.cumsum([0, *map(len, every)])
        self.deviation = float(np.concatenate(every).std())

    def __len__(self) -> int:
        return int(self._until[-1])

    def __getitem__(self, part: slice) -> Floats:
        first = int(np.searchsorted(self._until, part.start, side="right")) - 1
        ends = [np.iinfo(np.int64).min, *self._history.ends]
        last = min(int(np.searchsorted(self._until, part.stop)), len(ends) - 1)
        read = self._values(self._history.load_interval(ends[first], ends[last], [self._name]))
        return read[part.start - self._until[first] :][: part.stop - part.start]

    def _values(self, piece: History) -> Floats:
        there = has_data(piece, self._name)
        if self._categories is not None:
            there &= (
                self._categories.in_force(millis(pd.DatetimeIndex(piece.readings.index)))
                == self._category
            )
        return np.asarray(piece.readings[self._name].to_numpy(np.float64)[there])


@dataclass(frozen=True)
class NormalColumns:
    """Variables of normal readings, in which anomalies are put. `categories`: by which their usual
    values differ."""

    history: LongHistory
    variables: Sequence[str]
    categories: CategoryValues | None = None
    _values: dict[tuple[str, str | None], Values] = field(default_factory=dict)

    @cached_property
    def names(self) -> list[str]:
        """Return the variables with values."""
        there = [name for name in self.variables if name in self.history.variables]
        return [
            name
            for name in there
            if any(has_data(piece, name).any() for piece in self.history.pieces([name]))
        ]

    def usual(self, name: str, at: int) -> Values:
        """Return the values of a variable; of several categories, of the one in force at an instant
        (ms)."""
        category = None if self.categories is None else self.categories.in_force(np.array([at]))[0]
        if (name, category) not in self._values:
            self._values[name, category] = Values(self.history, name, self.categories, category)
        return self._values[name, category]

    def history_around(self, starts: Millis, before: int, after: int) -> History:
        """Return the history with the readings from `before` to `after` ms around each of these
        instants, which increase."""
        apart = np.flatnonzero(np.diff(starts) > before + after) + 1
        ends = [0, *apart.tolist(), len(starts)] if len(starts) else []
        parts = [
            (int(starts[first]) - before, int(starts[last - 1]) + after)
            for first, last in pairwise(ends)
        ]
        found = [self.history.load_interval(*part, self.variables) for part in parts or [(0, 0)]]
        return replace(found[0], readings=pd.concat([one.readings for one in found]))


def changed(
    type: AnomalyType,
    values: Floats,
    every: Values | Floats,
    size: float,
    chance: np.random.Generator,
) -> Floats:
    """Return the values of an interval with an anomaly of a type and size (in their unit). `every`:
    all values of the variable.

    "other time" takes the values of another time: each is usual, but no longer moves together with
    the other variables.
    """
    count = len(values)
    side = float(chance.choice(_SIDES))
    match type:
        case "spike":
            return values + 2 * size * side * (chance.random(count) < _SPIKES)
        case "shift":
            return values + size * side
        case "drift":
            return values + 1.5 * size * side * np.linspace(0, 1, count)
        case "noise":
            return values + size * chance.standard_normal(count)
        case "frozen":
            return np.full(count, values[0])
        case "other time":
            first = int(chance.integers(0, max(len(every) - count, 1)))
            return every[first : first + count]


def inject(
    columns: NormalColumns, type: AnomalyType, starts: Millis, length: int, back: int, seed: int
) -> tuple[History, list[Injection]]:
    """Put one anomaly of a type after each start (ms), each into one variable; return what was put
    where.

    And the history with the readings of the intervals of `length` ms after the starts, and of
    `back` ms before these. Intervals without readings, or with values that do not change, get none.
    With categories a size is that of the deviation in the category of the interval's first reading,
    and values of another time are of this category.
    """
    chance = np.random.default_rng([seed, *type.encode()])
    history = columns.history_around(starts, back, length)
    readings = history.readings
    found = list[Injection]()
    put_in = dict[str, Floats]()
    ts = millis(pd.DatetimeIndex(readings.index))
    for start in starts.tolist() if columns.names else ():
        name = columns.names[int(chance.integers(len(columns.names)))]
        size = float(chance.uniform(_SMALLEST, _LARGEST))
        sound = has_data(history, name)
        first, last = np.searchsorted(ts, [start, start + length], side="right")
        inside = first + np.flatnonzero(sound[first:last])
        column = put_in[name] if name in put_in else np.array(readings[name], np.float64)
        values = column[inside]
        if len(values) < 2:
            continue
        usual = columns.usual(name, int(ts[inside[0]]))
        put = changed(type, values, usual, size * usual.deviation, chance)
        if len(put) == len(values) and not np.array_equal(put, values):
            column[inside] = put
            put_in[name] = column
            found.append(Injection(type, name, start, start + length))
    return replace(history, readings=readings.assign(**put_in)), found
