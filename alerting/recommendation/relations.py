"""Find in the history what follows a set-point, how fast and how far: suggestions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.durations import format_duration
from alerting.readings.history import History, millis

Floats = npt.NDArray[np.float64]
LEAST_SHARE = 0.8  # least share of the variance that a suggested relation explains (R²)
# Least number of changes of the set-point: with fewer a coincidence looks like a relation.
LEAST_CHANGES = 5
MOST_ROWS = 50_000
# Time constants that are tried, in intervals between two readings; 0: it follows at once.
LAGS = (0.0, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
OUTLIER = 5.0
ROUNDS = 5
# Least share of the samples that a relation describes; the others are disturbed, e.g. by a stop or
# a fault.
LEAST_DESCRIBED = 0.7
SIMPLER = 0.005  # a lag is suggested only if it explains this much more than following at once


@dataclass(frozen=True)
class SuggestedRelation:
    """A variable follows a set-point at once (no `time_constant`) or with a lag, by `gain`.

    `explained`: share of its variance (R²) over the samples that it describes, the share
    `described` of all. `changes`: how often the set-point changed.
    """

    variable: str
    of: str
    gain: float
    time_constant: timedelta | None
    explained: float
    described: float
    changes: int

    def to_document(self) -> dict[str, Any]:
        """Return it as an entry of an asset's `relations`."""
        lag = (
            {}
            if self.time_constant is None
            else {"time_constant": format_duration(self.time_constant)}
        )
        kind = "equal" if self.time_constant is None else "lag"
        gain = {} if self.gain == 1.0 else {"gain": self.gain}
        return {"variable": self.variable, "kind": kind, "of": self.of, **gain, **lag}


def suggest_relations(history: History) -> list[SuggestedRelation]:
    """Return for each measured number the set-point that explains most of its variance.

    The set-point passes a first-order lag of each time constant, and the variable is fitted to the
    result by trimmed least squares, because faults and stops part the two for a while. The newest
    readings are used, without those at which either is missing; the interval between two is taken
    as their median.
    """
    numbers = {
        n: v
        for n, v in history.asset.variables.items()
        if v.type == "number" and not v.computed and n in history.readings
    }
    readings = history.readings.iloc[-MOST_ROWS:]
    at = millis(readings.index)
    if len(at) < 2:
        return []
    interval = timedelta(milliseconds=float(np.median(np.diff(at))))
    columns = {name: readings[name].to_numpy(np.float64) for name in numbers}
    drivers = {name: columns[name] for name, variable in numbers.items() if variable.controllable}
    found = []
    for name, variable in numbers.items():
        if not variable.controllable:
            best = _best_driver(name, columns[name], drivers, interval)
            found += [best] if best is not None else []
    return sorted(found, key=lambda s: (-s.explained, s.variable))


def _best_driver(
    name: str, follower: Floats, drivers: Mapping[str, Floats], interval: timedelta
) -> SuggestedRelation | None:
    candidates = [
        s
        for of, driver in drivers.items()
        if (s := _fit(name, follower, of, driver, interval)) is not None
    ]
    return max(candidates, key=lambda s: s.explained, default=None)


def _fit(
    name: str, follower: Floats, of: str, driver: Floats, interval: timedelta
) -> SuggestedRelation | None:
    """Return the relation of the best lag; None if too little moves or is explained."""
    present = ~np.isnan(driver)
    if not present.any():
        return None
    filled = driver[
        np.maximum.accumulate(np.where(present, np.arange(len(driver)), np.argmax(present)))
    ]
    changes = int((np.diff(filled) != 0).sum())
    used = ~np.isnan(follower) & (np.arange(len(driver)) >= np.argmax(present))
    if changes < LEAST_CHANGES or used.sum() < 2 or not follower[used].std():
        return None
    fits = [_trimmed_fit(lagged(filled, lag)[used], follower[used], lag) for lag in LAGS]
    possible = [fit for fit in fits if fit.described >= LEAST_DESCRIBED]
    best = max(possible, key=lambda fit: fit.explained, default=None)
    if best is None or best.explained < LEAST_SHARE:
        return None
    at_once = (
        fits[0] if fits[0] in possible and best.explained - fits[0].explained < SIMPLER else best
    )
    constant = (
        timedelta(seconds=max(1, round((interval * at_once.lag).total_seconds())))
        if at_once.lag
        else None
    )
    return SuggestedRelation(
        name, of, _rounded(at_once.gain), constant, at_once.explained, at_once.described, changes
    )


class _SlopeFit(NamedTuple):
    """Shares of variance explained and of samples described, slope, lag in intervals."""

    explained: float
    gain: float
    described: float
    lag: float


def lagged(driver: Floats, lag: float) -> Floats:
    """Return a series behind a first-order `lag` (in intervals), steady at its first value."""
    if not lag:
        return driver
    keep = float(np.exp(-1.0 / lag))
    return pd.Series(driver).ewm(alpha=1.0 - keep, adjust=False).mean().to_numpy()


def _trimmed_fit(x: Floats, y: Floats, lag: float) -> _SlopeFit:
    """Fit a line to the samples near it, so that disturbances do not hide the relation.

    It begins with slope 0 and 1 and repeats: samples farther than OUTLIER times the median distance
    from the line are left out.
    """
    explained, gain, described = max([_trim(x, y, slope) for slope in (1.0, 0.0)])
    return _SlopeFit(explained, gain, described, lag)


def _trim(x: Floats, y: Floats, slope: float) -> tuple[float, float, float]:
    described = np.ones(len(x), np.bool_)
    for _ in range(ROUNDS):
        residual = y - slope * x
        distance = np.abs(residual - np.median(residual[described]))
        described = distance <= OUTLIER * max(float(np.median(distance[described])), 1e-12)
        spread = float(x[described].std())
        if not spread:
            return 0.0, 0.0, 0.0
        slope = float(np.cov(x[described], y[described])[0, 1]) / spread**2
    total = float(y[described].var())
    explained = 1.0 - float((y - slope * x)[described].var()) / total if total else 0.0
    return explained, slope, float(described.mean())


def _rounded(gain: float) -> float:
    """Return a gain with two significant digits; one within 5 % of 1 as 1."""
    return 1.0 if abs(gain - 1.0) <= 0.05 else float(f"{gain:.2g}")
