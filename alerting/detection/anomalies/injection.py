"""Synthetic anomalies put into normal readings, to choose a detector without labels (Goswami and others, ICLR 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alerting.detection.anomalies.normal_space import Floats
from alerting.readings.cleaning import present
from alerting.readings.history import History, Millis, millis

AnomalyType = Literal["spike", "shift", "drift", "noise", "frozen", "other time"]
TYPES: tuple[AnomalyType, ...] = get_args(AnomalyType)
_SMALLEST, _LARGEST = 1.5, 4.0  # usual deviations of a reading
_SIDES = (-1.0, 1.0)
_SPIKES = 0.3  # share of the values of an interval


@dataclass(frozen=True)
class Injection:
    """One synthetic anomaly: of which type, in which variable, in (start, end] (ms)."""

    type: AnomalyType
    variable: str
    start: int
    end: int


def changed(type: AnomalyType, values: Floats, every: Floats, size: float, chance: np.random.Generator) -> Floats:
    """Return the values of an interval with an anomaly of a type and size (in their unit). `every`: all values of the variable.

    "other time" takes the values of another time: each is usual, but no longer moves together with the other variables.
    """
    count, side = len(values), float(chance.choice(_SIDES))
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
    history: History, variables: Sequence[str], type: AnomalyType, starts: Millis, length: int, seed: int
) -> tuple[History, list[Injection]]:
    """Return the history with one anomaly of a type after each start (ms), each of one variable, and what was put where.

    Intervals without readings, or with values that do not change, get none.
    """
    chance, readings = np.random.default_rng([seed, *type.encode()]), history.readings
    ts = millis(pd.DatetimeIndex(readings.index))
    columns = {name: np.array(readings[name], np.float64) for name in variables if name in readings}
    names, found = [name for name in columns if present(history, name).any()], list[Injection]()
    sound = {name: present(history, name) for name in names}
    originals = {name: columns[name][sound[name]] for name in names}
    deviations = {name: float(values.std()) for name, values in originals.items()}
    for start in starts.tolist() if names else ():
        name = names[int(chance.integers(len(names)))]
        size = float(chance.uniform(_SMALLEST, _LARGEST)) * deviations[name]
        inside = (ts > start) & (ts <= start + length) & sound[name]
        values = columns[name][inside]
        if len(values) < 2:
            continue
        put = changed(type, values, originals[name], size, chance)
        if len(put) == len(values) and not np.array_equal(put, values):
            columns[name][inside] = put
            found.append(Injection(type, name, start, start + length))
    return replace(history, readings=readings.assign(**{name: columns[name] for name in names})), found
