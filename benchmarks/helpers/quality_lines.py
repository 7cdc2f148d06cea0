"""Simulated lines whose quality a laboratory measures every 12 h, beside twelve variables.

Four variables move the quality (first-order responses), three follow these, five have nothing to do
with it. The rest of its variance is a slow level that nothing shows, with a memory of its own, and
the error of the laboratory.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from alerting.definitions.asset_documents import Asset, Variable
from alerting.readings.history import Floats, History, Millis, millis

ASSET = "unit-1"
QUALITY = "quality"
UNSEEN = 150  # results after a training: a fifth would be too few on a short line
_SPACING_H = 12.0
_START = pd.Timestamp("2025-01-01", tz="UTC")
_LOST = 0.05  # of the results
_MEMORIES = {0.33: 0.4, 3.0: 0.4, 24.0: 0.2}  # of a variable (h): shares of its variance
_UNRELATED_H = (0.33, 3.0, 24.0, 240.0)
# of variables that move the quality: weights, and time constants and dead times by response (h)
_WEIGHTS = (0.7, -0.5, 0.4, 0.35)
_RESPONSES = {"slow": ((3.0, 4.0, 6.0, 5.0), 0.5), "quick": ((0.2, 0.15, 0.3, 0.25), 0.1)}
_MINUTES = {"slow": 10, "quick": 5}
# of the variance of the quality: shown by variables, level, error
_SHARES = (0.65, 0.25, 0.10)


@dataclass(frozen=True)
class QualityLine:
    """A line. `memory_h`: time constant of the level; `results`: known at the training; `delay_h`:
    of the laboratory; `shown`: linear, interaction or nothing."""

    name: str
    memory_h: float
    response: str
    results: int
    seed: int
    delay_h: float = 0.0
    shown: str = "linear"


LINES = (
    QualityLine("longer-slow", 174, "slow", 590, 111_001),
    QualityLine("longer-quick", 216, "quick", 400, 111_002, delay_h=8),
    QualityLine("equal-slow", 12, "slow", 310, 111_003, delay_h=3),
    QualityLine("equal-quick", 12, "quick", 520, 111_004, delay_h=3),
    QualityLine("shorter-slow", 1.1, "slow", 520, 111_005, delay_h=5),
    QualityLine("shorter-quick", 2.2, "quick", 480, 111_006, delay_h=8),
    QualityLine("few", 139, "slow", 89, 111_007),
    QualityLine("interaction", 14, "slow", 460, 111_008, delay_h=5, shown="interaction"),
    QualityLine("nothing", 16, "slow", 590, 111_009, shown="nothing"),
)


@dataclass(frozen=True)
class MeasuredLine:
    """The history of a line with its unseen end. `taken` (ms), `values`: its results, of which a
    training at `as_of` knows the first `known`."""

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
    steps = round((count / (1 - _LOST) + 6) * _SPACING_H / step_h)
    movers = [
        sum(np.sqrt(part) * _remember(random, steps, h / step_h) for h, part in _MEMORIES.items())
        for _ in range(3)
    ]
    # a set-point is changed once a day
    changes = np.cumsum(random.random(steps) < step_h / 24)
    movers.append(random.standard_normal(int(changes[-1]) + 1)[changes])
    sampled = np.arange(2.0, steps * step_h / _SPACING_H - 1) * _SPACING_H
    sampled = sampled[random.random(len(sampled)) >= _LOST][:count]
    minutes = np.round(sampled * 60 + random.uniform(-30, 30, len(sampled)))
    taken = minutes.astype(np.int64) * 60_000 + _START.value // 1_000_000
    level = _remember(random, steps, line.memory_h / step_h)
    error = random.standard_normal(len(taken))
    step = (minutes / 60 / step_h).astype(int)
    parts = np.array([_scaled(_shown(line, movers, step_h))[step], level[step], error])
    values = 80 + 4 * (error if line.shown == "nothing" else np.sqrt(_SHARES) @ parts)
    index = pd.date_range(_START, periods=steps, freq=f"{_MINUTES[line.response]}min", unit="ms")
    readings = pd.DataFrame(_sensors(random, movers, steps, step_h), index=index)
    at = pd.DatetimeIndex(pd.to_datetime(taken, unit="ms", utc=True)).as_unit("ms")
    joined = readings.join(pd.DataFrame({QUALITY: values}, index=at), how="outer")
    delay = timedelta(hours=line.delay_h)
    variables = {str(name): Variable() for name in readings} | {QUALITY: Variable(delay=delay)}
    history = History(Asset(name=ASSET, variables=variables), joined.rename_axis("ts"))
    as_of = at[line.results - 1] + delay + timedelta(minutes=1)
    return MeasuredLine(history, taken, values, line.results, as_of)


def window_means(line: MeasuredLine, at: Millis, begin_h: float, end_h: float) -> Floats:
    """Return the means of the variables (rows x variables) from begin_h to end_h hours before each
    instant, that instant excluded."""
    process = line.history.readings.drop(columns=QUALITY).dropna()
    ts = millis(pd.DatetimeIndex(process.index))
    sums = np.vstack([np.zeros(process.shape[1]), np.cumsum(process.to_numpy(), axis=0)])
    ends = [at - round(hours * 3_600_000) for hours in (begin_h, end_h)]
    first, last = (np.searchsorted(ts, end, side="left") for end in ends)
    return np.asarray((sums[last] - sums[first]) / (last - first)[:, None], np.float64)


def _remember(random: np.random.Generator, steps: int, time_constant: float) -> Floats:
    """Return a process of unit variance with this memory (steps)."""
    kept = float(np.exp(-1 / time_constant))
    fresh = random.standard_normal(steps) * np.sqrt(1 - kept**2)
    fresh[0] = random.standard_normal()
    return np.asarray(lfilter([1.0], [1.0, -kept], fresh), np.float64)


def _shown(line: QualityLine, movers: list[Floats], step_h: float) -> Floats:
    """Return what the variables do to the quality at each step."""
    hours, dead_h = _RESPONSES[line.response]
    dead = round(dead_h / step_h)
    kept = np.exp(-step_h / np.array(hours))
    late = [np.concatenate([np.full(dead, m[0]), m[: len(m) - dead]]) for m in movers]
    first, second, third, fourth = (
        _scaled(np.asarray(lfilter([1 - k], [1.0, -k], m))) for k, m in zip(kept, late, strict=True)
    )
    if line.shown == "interaction":
        return np.asarray(first * second + np.tanh(1.5 * third) + 0.4 * fourth)
    return np.asarray(np.array(_WEIGHTS) @ [first, second, third, fourth], np.float64)


def _scaled(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / values.std(), np.float64)


def _sensors(
    random: np.random.Generator, movers: list[Floats], steps: int, step_h: float
) -> dict[str, Floats]:
    """Return the readings of the twelve variables."""
    names = ("feed_rate", "heat", "reflux", "pressure", "feed_pump", "oil_temperature")
    true = dict(zip(names, [*movers, *movers[:2]], strict=True))
    true["level"] = (movers[0] + movers[2]) / np.sqrt(2)
    true["air_temperature"] = np.sqrt(2) * np.sin(np.arange(steps) * step_h * np.pi / 12)
    for number, hours in enumerate(_UNRELATED_H, 1):
        true[f"unit_2_{number}"] = _remember(random, steps, hours / step_h)
    errors = random.standard_normal((len(true), steps))
    return {
        name: 100 + 10 * values + error
        for (name, values), error in zip(true.items(), errors, strict=True)
    }
