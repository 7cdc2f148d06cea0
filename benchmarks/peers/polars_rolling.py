"""Rolling windows of polars: a script without imports of this platform, because it runs in another
environment.

Run: <python> polars_rolling.py time|rows TABLE.parquet STRIDE ROUNDS

It prints seconds, CPU seconds, peak memory, and the sum of each column. Polars uses all cores.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

WINDOWS = {"30m": 30, "1h": 60, "3h": 180}  # rows, one a minute
AGGREGATIONS = ("mean", "std", "min", "max")


def main(kind: str, file: str, stride: int, rounds: int) -> None:
    """Measure the quickest of some rounds."""
    table = pl.read_parquet(file)
    columns = [column for name in table.columns if name != "ts" for column in _columns(name, kind)]
    found = []
    for _ in range(rounds):
        wall = time.perf_counter()
        cpu = time.process_time()
        rows = table.lazy().select(columns).gather_every(stride, stride - 1).collect()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
        sums = {name: rows[name].sum() for name in rows.columns}
        del rows
    seconds, spent = (round(min(values), 3) for values in zip(*found, strict=True))
    print(
        json.dumps(
            {"seconds": seconds, "cpu_seconds": spent, "peak_mib": _peak_mib(), "sums": sums}
        )
    )


def _columns(name: str, kind: str) -> Iterator[pl.Expr]:
    value = pl.col(name)
    for window, rows in WINDOWS.items():
        for aggregation in AGGREGATIONS:
            if kind == "time":
                found = getattr(value, f"rolling_{aggregation}_by")("ts", window_size=window)
            else:
                found = getattr(value, f"rolling_{aggregation}")(window_size=rows, min_samples=1)
            yield found.alias(f"{name}.{aggregation}.{window}")
    yield value.forward_fill(WINDOWS["3h"] - 1).alias(f"{name}.last")


def _peak_mib() -> int:
    line = next(
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
