"""Feature building against pandas' time-based rolling windows, on 220,320 rows x 52 synthetic variables.

In pandas' favour it omits the slope, for which it has no window function: 4 aggregations in 3 windows, and the last
value in the longest one, against the same with the slope in 3 windows. Both read the same frame and keep every tenth row.
"""

import gc
import time
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from alerting.definitions.assets import Asset
from alerting.learning.features.build import FeaturePlan, build_features
from alerting.learning.features.plan import NumberSource
from alerting.readings.history import History, Millis
from benchmarks.memory import peak_mib

ROWS, VARIABLES, EVERY = 220_320, 52, 10
WINDOWS = (timedelta(minutes=30), timedelta(hours=1), timedelta(hours=3))
MINUTE_MS = 60_000
START_MS = 1_420_092_000_000
MEMORY_LIMIT_MIB = 2048.0


def run() -> dict[str, Any]:
    """Return seconds for the whole table, the peer's seconds, and the peak memory until ours was done."""
    readings = _readings()
    at = START_MS + MINUTE_MS * np.arange(EVERY - 1, ROWS, EVERY, dtype=np.int64)
    seconds, ours = _timed(lambda: build_features(_plan(), History(Asset(name="line"), readings), at))
    memory = peak_mib()
    peer_seconds, theirs = _timed(lambda: _pandas(readings, at))
    for column, values in theirs.items():
        np.testing.assert_allclose(ours[column], values, rtol=1e-6, atol=1e-6)
    ratio = peer_seconds / seconds
    return {
        "benchmark": "features",
        "figure": round(seconds, 3),
        "unit": f"s for {ROWS} rows x {VARIABLES} variables, 3 windows x 6 aggregations, every {EVERY}th row",
        "peer": "pandas rolling, without slope",
        "peer_figure": round(peer_seconds, 3),
        "ratio": round(ratio, 2),
        "goal": "ratio >= 5 and peak memory < 2048 MiB",
        "met": bool(ratio >= 5 and memory < MEMORY_LIMIT_MIB),
        "peak_memory_mib": memory,
    }


def _readings() -> pd.DataFrame:
    random = np.random.default_rng(0)
    values = random.standard_normal((VARIABLES, ROWS)).cumsum(axis=1) * 0.1 + 100
    values[random.random(values.shape) < 0.01] = np.nan
    ts = (START_MS + MINUTE_MS * np.arange(ROWS)).astype("datetime64[ms]")
    return pd.DataFrame(
        values.T, columns=[f"v{i}" for i in range(VARIABLES)], index=pd.DatetimeIndex(ts).tz_localize("UTC"), copy=False
    )


def _plan() -> FeaturePlan:
    return FeaturePlan(
        stride_ms=EVERY * MINUTE_MS,
        windows_ms=tuple(w // timedelta(milliseconds=1) for w in WINDOWS),
        aggregations=("mean", "std", "min", "max", "last", "slope"),
        numbers=tuple(NumberSource(f"v{i}", MINUTE_MS) for i in range(VARIABLES)),
    )


def _pandas(readings: pd.DataFrame, at: Millis) -> dict[str, Any]:
    instants = pd.DatetimeIndex(at.astype("datetime64[ms]")).tz_localize("UTC")
    columns: dict[str, Any] = {}
    for window, word in zip(WINDOWS, ("30m", "1h", "3h"), strict=True):
        rolling = readings.rolling(window)
        for name in ("mean", "std", "min", "max"):
            rows = getattr(rolling, name)().loc[instants]
            columns |= {f"{variable}.{name}.{word}": rows[variable].to_numpy() for variable in readings}
    rows = readings.rolling(WINDOWS[-1]).last().loc[instants]
    return columns | {f"{variable}.last": rows[variable].to_numpy() for variable in readings}


def _timed(work: Any) -> tuple[float, Any]:
    gc.collect()
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result
