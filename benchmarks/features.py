"""Feature building against rolling windows of pandas, on 220,320 rows x 52 synthetic variables.

At a stride equal to the sampling, and at every tenth row. In favour of the peer it omits the
slope, for which it has no window function: 4 aggregations in 3 windows, and the last value, against
the same with the slope. Both read the same table. Each measurement is a process of its own.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from alerting.definitions.asset_documents import Asset
from alerting.learning.features.plan import NumberSource
from alerting.learning.features.point_in_time import FeaturePlan, build_features
from alerting.readings.history import History
from benchmarks.helpers.memory import peak_mib

# strides in rows
ROWS = 220_320
VARIABLES = 52
STRIDES = (1, 10)
WINDOWS = {"30m": timedelta(minutes=30), "1h": timedelta(hours=1), "3h": timedelta(hours=3)}
AGGREGATIONS = ("mean", "std", "min", "max")
MINUTE_MS = 60_000
START_MS = 1_420_092_000_000
MEMORY_LIMIT_MIB = 2048.0
ROUNDS = 3  # the quickest counts, of all


def run() -> dict[str, Any]:
    """Return the seconds of all for the table, at a stride equal to the sampling and at every tenth
    row."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "readings.parquet")
        _readings().reset_index(names="ts").to_parquet(table)
        measured = {f"stride {stride}": _measure_all(table, stride) for stride in STRIDES}
    ratios = {
        f"{peer}, {stride}": round(found[peer]["seconds"] / found["ours"]["seconds"], 2)
        for stride, found in measured.items()
        for peer in found
        if peer != "ours"
    }
    every = measured["stride 1"]
    memory = every["ours"]["peak_mib"]
    least = {"pandas, stride 1": 10.0, "pandas, stride 10": 15.0}
    return {
        "benchmark": "features",
        "figure": every["ours"]["seconds"],
        "unit": (
            f"s for {ROWS} rows x {VARIABLES} variables, 3 windows x 6 aggregations, a row for "
            "each reading"
        ),
        "peer": "pandas rolling, without slope",
        "peer_figure": every["pandas"]["seconds"],
        "ratio": ratios["pandas, stride 1"],
        "ratios": ratios,
        "measured": measured,
        "load": round(os.getloadavg()[0], 1),
        "goal": (
            "10 times as fast as pandas, 15 times at every tenth row, peak "
            "memory < 2048 MiB, at every tenth row < 1024 MiB"
        ),
        "met": memory < MEMORY_LIMIT_MIB
        and measured["stride 10"]["ours"]["peak_mib"] < MEMORY_LIMIT_MIB / 2
        and all(
            ratio >= goal
            for peer, goal in least.items()
            for name, ratio in ratios.items()
            if name.startswith(peer)
        ),
    }


def _measure_all(table: Path, stride: int) -> dict[str, dict[str, Any]]:
    """Measure every system in a process of its own, and compare the sums of the columns that they
    share."""
    commands = {
        name: [sys.executable, "-m", "benchmarks.features", name] for name in ("ours", "pandas")
    }
    found: dict[str, dict[str, Any]] = {}
    for name, command in commands.items():
        done = subprocess.run(
            [*command, str(table), str(stride), str(ROUNDS)],
            capture_output=True,
            text=True,
            check=True,
        )
        found[name] = dict(json.loads(done.stdout))
    sums: dict[str, dict[str, float]] = {
        name: measured.pop("sums") for name, measured in found.items()
    }
    for name, theirs in sums.items():
        np.testing.assert_allclose(
            list(theirs.values()),
            [sums["ours"][column] for column in theirs],
            rtol=1e-6,
            err_msg=name,
        )
    return found


def main(system: str, table: str, stride: int, rounds: int) -> None:
    """Measure one system; print its seconds, CPU seconds, peak memory, and the sum of each column
    but the slopes."""
    readings = pd.read_parquet(table).set_index("ts")
    pa.default_memory_pool().release_unused()  # what reading took is none of the features'
    work: Callable[[pd.DataFrame, int], Any] = _pandas if system == "pandas" else _ours
    found: list[tuple[float, float]] = []
    for _ in range(rounds):
        gc.collect()
        wall = time.perf_counter()
        cpu = time.process_time()
        columns = work(readings, stride)
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
        memory = peak_mib()
        sums = {name: float(np.nansum(columns[name])) for name in columns if ".slope." not in name}
        del columns
    seconds, spent = (round(min(values), 3) for values in zip(*found, strict=True))
    print(json.dumps({"seconds": seconds, "cpu_seconds": spent, "peak_mib": memory, "sums": sums}))


def _readings() -> pd.DataFrame:
    random = np.random.default_rng(0)
    values = random.standard_normal((VARIABLES, ROWS)).cumsum(axis=1) * 0.1 + 100
    values[random.random(values.shape) < 0.01] = np.nan
    ts = (START_MS + MINUTE_MS * np.arange(ROWS)).astype("datetime64[ms]")
    return pd.DataFrame(
        values.T,
        columns=[f"v{i}" for i in range(VARIABLES)],
        index=pd.DatetimeIndex(ts).tz_localize("UTC"),
        copy=False,
    )


def _ours(readings: pd.DataFrame, stride: int) -> pd.DataFrame:
    plan = FeaturePlan(
        stride_ms=stride * MINUTE_MS,
        windows_ms=tuple(window // timedelta(milliseconds=1) for window in WINDOWS.values()),
        aggregations=("mean", "std", "min", "max", "last", "slope"),
        numbers=tuple(NumberSource(str(name), MINUTE_MS) for name in readings),
    )
    at = START_MS + MINUTE_MS * np.arange(stride - 1, ROWS, stride, dtype=np.int64)
    return build_features(plan, History(Asset(name="line"), readings), at)


def _pandas(readings: pd.DataFrame, stride: int) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for word, window in WINDOWS.items():
        rolling = readings.rolling(window)
        for name in AGGREGATIONS:
            rows = getattr(rolling, name)().iloc[stride - 1 :: stride]
            columns |= {
                f"{variable}.{name}.{word}": rows[variable].to_numpy() for variable in readings
            }
    rows = readings.rolling(WINDOWS["3h"]).last().iloc[stride - 1 :: stride]
    return columns | {f"{variable}.last": rows[variable].to_numpy() for variable in readings}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
