"""Simulated lines with a quality that a laboratory measures every 12 h, and twelve variables of the
process.

Four variables move the quality through a first-order response, three others follow these, and five
have nothing to do with it. The rest of its variance is a slow level that nothing shows, with a
memory of its own, and the error of the laboratory.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from alerting.definitions.asset_documents import Asset, Variable
from alerting.readings.history import Floats, History, Millis, millis

ASSET = "unit-1"
QUALITY = "quality"
SPACING_H = 12.0
UNSEEN = 150
"""Results that come after a training: those of a fifth would be too few on a short line."""
_START = pd.Timestamp("2025-01-01", tz="UTC")
_HOUR_MS = 3_600_000
# share of the variance of a variable by the hours of its memory
_VARIABLE = {0.33: 0.4, 3.0: 0.4, 24.0: 0.2}
_UNRELATED_H = (0.33, 3.0, 24.0, 240.0)
_WEIGHTS = (0.7, -0.5, 0.4, 0.35)
# of the variance of the quality
_SHOWN = 0.65
_LEVEL = 0.25
_ERROR = 0.10
_SENSOR_ERROR = 0.1  # of the standard deviation of a variable
_LOST = 0.05  # of the results
_RESPONSE_H = {"slow": (3.0, 4.0, 6.0, 5.0), "quick": (0.2, 0.15, 0.3, 0.25)}
_DEAD_H = {"slow": 0.5, "quick": 0.1}
_MINUTES = {"slow": 10, "quick": 5}


@dataclass(frozen=True)
class QualityLine:
    """A line by its properties. `memory_h`: time constant of the level (h); `results`: those known
    at the training; `delay_h`: of the laboratory; `shown`: how the variables show the quality."""

    name: str
    memory_h: float
    response: Literal["slow", "quick"]
    results: int
    seed: int
    delay_h: float = 0.0
    shown: Literal["linear", "interaction", "nothing"] = "linear"


LINES = (
    QualityLine("longer-slow", 120, "slow", 600, 81_001),
    QualityLine("longer-quick", 120, "quick", 400, 81_002, delay_h=3),
    QualityLine("equal-slow", 12, "slow", 450, 81_003, delay_h=8),
    QualityLine("equal-quick", 12, "quick", 350, 81_004),
    QualityLine("shorter-slow", 2, "slow", 300, 81_005, delay_h=3),
    QualityLine("shorter-quick", 2, "quick", 500, 81_006),
    QualityLine("few", 120, "slow", 80, 81_007, delay_h=3),
    QualityLine("interaction", 12, "slow", 500, 81_008, shown="interaction"),
    QualityLine("nothing", 0, "slow", 400, 81_009, shown="nothing"),
)


@dataclass(frozen=True)
class MeasuredLine:
    """The history of a line with its unseen end. `taken` (ms), `values`: its results, of which the
    training knows the first `known` at the instant `as_of`."""

    history: History
    taken: Millis
    values: Floats
    known: int
    as_of: pd.Timestamp


def measure(line: QualityLine) -> MeasuredLine:
    """Simulate a line. The same line gives the same readings."""
    random = np.random.default_rng(line.seed)
    step_h = _MINUTES[line.response] / 60
    count = line.results + UNSEEN
    steps = round((count / (1 - _LOST) + 6) * SPACING_H / step_h)
    index = pd.date_range(_START, periods=steps, freq=f"{_MINUTES[line.response]}min", name="ts")
    movers = [
        sum(
            np.sqrt(share) * _remember(random, steps, hours / step_h)
            for hours, share in _VARIABLE.items()
        )
        for _ in range(3)
    ]
    movers.append(_set_point(random, steps, round(24 / step_h)))
    sampled = np.arange(2.0, steps * step_h / SPACING_H - 1) * SPACING_H
    sampled = sampled[random.random(len(sampled)) >= _LOST][:count]
    minutes = np.round(sampled * 60 + random.uniform(-30, 30, len(sampled)))
    taken = minutes.astype(np.int64) * 60_000 + _START.value // 1_000_000
    signal = _scaled(_shown(line, movers, step_h))
    level = _remember(random, steps, max(line.memory_h, 1e-9) / step_h)
    error = random.standard_normal(len(taken))
    at = (minutes / 60 / step_h).astype(int)
    parts = (np.sqrt(_SHOWN) * signal + np.sqrt(_LEVEL) * level)[at] + np.sqrt(_ERROR) * error
    values = 80 + 4 * (error if line.shown == "nothing" else parts)
    readings = pd.DataFrame(_sensors(random, movers, steps, step_h), index=index.as_unit("ms"))
    results = pd.DataFrame(
        {QUALITY: values}, index=pd.to_datetime(taken, unit="ms", utc=True).as_unit("ms")
    )
    joined = readings.join(results, how="outer")
    joined.index.name = "ts"
    delay = timedelta(hours=line.delay_h)
    variables = {str(name): Variable() for name in readings}
    asset = Asset(name=ASSET, variables=variables | {QUALITY: Variable(delay=delay)})
    as_of = results.index[line.results - 1] + delay + timedelta(minutes=1)
    return MeasuredLine(History(asset, joined), taken, values, line.results, as_of)


def window_means(line: MeasuredLine, at: Millis, begin_h: float, end_h: float) -> Floats:
    """Return the means of the variables (rows x variables) from begin_h to end_h hours before each
    instant, that instant excluded."""
    process = line.history.readings.drop(columns=QUALITY).dropna()
    ts = millis(pd.DatetimeIndex(process.index))
    sums = np.vstack([np.zeros(process.shape[1]), np.cumsum(process.to_numpy(), axis=0)])
    first, last = (
        np.searchsorted(ts, at - round(hours * _HOUR_MS), side="left") for hours in (begin_h, end_h)
    )
    return np.asarray((sums[last] - sums[first]) / (last - first)[:, None], np.float64)


def _remember(random: np.random.Generator, steps: int, time_constant: float) -> Floats:
    """Return a process of unit variance with this memory (steps)."""
    kept = float(np.exp(-1 / time_constant))
    fresh = random.standard_normal(steps) * np.sqrt(1 - kept**2)
    fresh[0] = random.standard_normal()
    return np.asarray(lfilter([1.0], [1.0, -kept], fresh), np.float64)


def _set_point(random: np.random.Generator, steps: int, usual: int) -> Floats:
    """Return a value that people change after `usual` steps on average."""
    changes = np.cumsum(random.random(steps) < 1 / usual)
    return random.standard_normal(int(changes[-1]) + 1)[changes]


def _shown(line: QualityLine, movers: list[Floats], step_h: float) -> Floats:
    dead = round(_DEAD_H[line.response] / step_h)
    responses = []
    for mover, hours in zip(movers, _RESPONSE_H[line.response], strict=True):
        kept = float(np.exp(-step_h / hours))
        late = np.concatenate([np.full(dead, mover[0]), mover[: len(mover) - dead]])
        responses.append(_scaled(np.asarray(lfilter([1 - kept], [1.0, -kept], late))))
    if line.shown == "interaction":
        first, second, third, fourth = responses
        return np.asarray(first * second + np.tanh(1.5 * third) + 0.4 * fourth)
    return np.asarray(
        sum(weight * one for weight, one in zip(_WEIGHTS, responses, strict=True)), np.float64
    )


def _scaled(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / values.std(), np.float64)


def _sensors(
    random: np.random.Generator, movers: list[Floats], steps: int, step_h: float
) -> dict[str, Floats]:
    feed, heat, reflux, pressure = movers
    hours = np.arange(steps) * step_h
    true = {
        "feed_rate": feed,
        "heat": heat,
        "reflux": reflux,
        "pressure": pressure,
        "feed_pump": feed,
        "oil_temperature": heat,
        "level": (feed + reflux) / np.sqrt(2),
        "air_temperature": np.sqrt(2) * np.sin(2 * np.pi * hours / 24),
    }
    true |= {
        f"unit_2_{number}": _remember(random, steps, memory / step_h)
        for number, memory in enumerate(_UNRELATED_H, 1)
    }
    return {
        name: 100 + 10 * (values + _SENSOR_ERROR * random.standard_normal(steps))
        for name, values in true.items()
    }
