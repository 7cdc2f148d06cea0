"""Does the detector find real anomalies? SKAB: a water loop with 8 sensors, 34 recordings; and
problems of simulated lines: three wide ones, where 90 % of the variance instead of 99 % misses the
goal, three narrow ones, one on a curve, and some with two days of normal time.

Each recording's first 400 rows are normal operation, without their labels; every later row is
called normal or not. The window was fixed on the 16 recordings of `valve1` (`python -m
benchmarks.anomaly valve1` prints the trials), where the defaults of the kind for statistics
and threshold were as good as any; the others were scored once for each version of this benchmark.
F1 is pooled over rows, as in the published table: always alarm 0.698, isolation forest 0.29, T² + Q
0.76, local outlier factor 0.774, convolutional autoencoder 0.78.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from alerting.definitions.asset_documents import Asset, Variable, variable_name
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.model import AnomalyModel, FittedDetector
from alerting.kinds.anomaly.scored_strides import THRESHOLD
from alerting.kinds.anomaly.training import TRAINING
from alerting.kinds.registry import parse_definition
from alerting.kinds.training_protocol import LearningData, NormalTime
from alerting.learning.features.point_in_time import build_features, point_in_time_view
from alerting.learning.features.reading_counts import has_enough_readings
from alerting.readings.history import BoolArray, Floats, History, from_millis, millis, to_millis
from benchmarks.helpers.public_data import ABSENT, folder
from tests.helpers.long_history import in_memory

NORMAL_ROWS = 400
GOAL = 0.77
WINDOWS: tuple[str, ...] = ("30s", "20s", "10s")
SHARES: tuple[float | None, ...] = (None, 0.01, 0.02, 0.05)
WINDOW = "30s"
LINES = {
    "wide": (0.3, 52, 8, 1),
    "states": (0.25, 45, 7, 3),
    "collinear": (0.1, 30, 8, 1),
    "three": (0.3, 3, 1, 1),
    "four in states": (0.3, 4, 2, 3),
    "single": (0.3, 1, 1, 1),
}
"""Noise, columns, of which a quarter follows others, latent variables, and states of a line."""
CURVE_NOISE = 0.1
ASKED = 0.01  # share of normal time in alarm
TWO_DAYS = 8  # lines whose normal time is two days
WEEK = 1008  # rows of ten minutes
START_MS = 1_767_571_200_000  # 2026-01-05
MOVED = 2.4  # deviations of the noise
LEAST_FOUND = 0.5  # of the problems of the lines together
MOST_WEEKLY = 1.5  # false alarms
SHARE = None
"""Fixed on valve1. A share of normal time in alarm; None: the threshold by default, one false alarm
a week."""
_SAMPLES = 2_000


@dataclass(frozen=True)
class Outcome:
    """Of one recording: rows by truth and alarm."""

    hits: int
    false: int
    missed: int
    right: int


def run() -> dict[str, object]:
    """Return F1 and rates on the recordings outside of valve1, with bounds over recordings."""
    data = folder()
    if data is None:
        return {"benchmark": "anomaly", "met": None, "note": ABSENT}
    started = time.process_time()
    lines = {
        name: _on_line(_linear(chance, *line), noise, chance)
        for seed, (name, (noise, *line)) in enumerate(LINES.items())
        for chance in [np.random.default_rng(seed)]
    }
    wide = [lines[name] for name in list(LINES)[:3]]
    share = np.mean([line["found"] for line in wide])
    chance = np.random.default_rng(len(lines))
    lines["curve"] = _on_line(_curved(chance), CURVE_NOISE, chance)
    weekly = np.mean([line["weekly"] for line in lines.values()])
    in_alarm = float(np.mean([_after_two_days(seed) for seed in range(TWO_DAYS)]))
    share_of_lines_s = time.process_time() - started
    files = [
        file
        for part in ("valve2", "other")
        for file in sorted((data / "skab" / part).glob("*.csv"))
    ]
    found = [_outcome(file, WINDOW, SHARE) for file in files]
    always = _f1([Outcome(o.hits + o.missed, o.false + o.right, 0, 0) for o in found])
    f1 = _f1(found)
    return {
        "benchmark": "anomaly",
        "recordings": len(files),
        "f1": round(f1, 3),
        "f1_90": _bounds(found),
        "false_alarm_rate": round(_rate(found, "false", "right"), 3),
        "missed_rate": round(_rate(found, "missed", "hits"), 3),
        "always_alarm": round(always, 3),
        "lines": lines,
        "in_alarm_by_two_days": round(in_alarm, 4),
        "cpu_s": round(time.process_time() - started, 1),
        "cpu_s_of_lines": round(share_of_lines_s, 1),
        "met": bool(
            f1 >= GOAL
            and share >= LEAST_FOUND
            and weekly <= MOST_WEEKLY
            and lines["curve"]["family"] == "autoencoder"
            and 0.5 * ASKED <= in_alarm <= 1.5 * ASKED
        ),
    }


def _on_line(values: Floats, noise: float, chance: np.random.Generator) -> dict[str, Any]:
    """Return the family of the detector, the share of problems found, and false alarms a week, in
    three weeks after four normal ones of a simulated line, with a row each ten minutes."""
    values = values + noise * chance.normal(size=values.shape)
    number, since = np.divmod(np.arange(3 * WEEK) - 100, 200)
    moved = MOVED * noise * np.array([1, -1])
    for start in (4 * WEEK + np.flatnonzero(since == 0)).tolist():
        pair = chance.choice(values.shape[1], min(2, values.shape[1]), replace=False)
        values[start : start + 36, pair] += moved[: len(pair)]  # six hours of moving apart
    fitted, alarm = _alarms(_definition(), _history(values), 4 * WEEK)
    found = np.unique(number[alarm & (since < 36) & (number >= 0)])
    is_normal = since >= 48
    false = np.flatnonzero(alarm & is_normal)
    return {
        "family": fitted.detector.family,
        "found": round(len(found) / (number[-1] + 1), 2),
        "weekly": round(
            float((np.diff(false, prepend=-99) > 10).sum()) * WEEK / is_normal.sum(), 2
        ),
    }


def _linear(
    chance: np.random.Generator, columns: int, latents: int, states: int, memory: float = 0.9
) -> Floats:
    """Return the values without noise of variables that follow `latents`, in some states of the
    line. A quarter of wide columns follows others."""
    drawn = chance.normal(size=(7 * WEEK, latents))
    latent = lfilter([(1 - memory**2) ** 0.5], [1, -memory], drawn, axis=0)
    level = chance.normal(0, 3 * (states > 1), (states, latents))
    latent += level[chance.integers(0, states, 7 * WEEK // 72).repeat(72)]
    values = latent @ chance.normal(size=(latents, columns)) / latents**0.5
    follow = columns // 4
    values[:, :follow] = 2 * values[:, columns - follow :]
    return np.asarray(values)


def _curved(chance: np.random.Generator) -> Floats:
    """Return values without noise of eight variables that follow load and surroundings, most of
    them on a curve, as pressure, power and efficiency do."""
    free, around = (
        np.sin(np.cumsum(1 + 0.3 * chance.normal(size=7 * WEEK)) * 2 * np.pi / rows)
        for rows in (144, 700)
    )
    load = 1 / (1 + np.exp(-2 * free))
    curves = [load, load**2, load**3, 1 / (0.3 + load), load * (1 + 0.2 * around), around]
    values = np.stack([*curves, load**2 + 0.3 * around, np.sqrt(load)], axis=1)
    return np.asarray((values - values.mean(axis=0)) / values.std(axis=0))


def _after_two_days(seed: int) -> float:
    """Return the share of normal time in alarm by which a threshold of ASKED, of two days of
    readings each minute, was passed."""
    chance = np.random.default_rng(seed)
    values = _linear(chance, 6, 2, 1, 0.95)
    values += 0.3 * chance.normal(size=values.shape)
    definition = _definition(threshold={"time_in_alarm": ASKED})
    return float(_alarms(definition, _history(values, 60_000), 2 * 1440)[1].mean())


def _history(values: Floats, every_ms: int = 600_000) -> History:
    at = START_MS + every_ms * np.arange(len(values))
    index = pd.DatetimeIndex(pd.to_datetime(at, unit="ms", utc=True)).as_unit("ms").rename("ts")
    names = [f"v{column}" for column in range(values.shape[1])]
    asset = Asset(name="loop", variables={name: Variable() for name in names})
    return History(asset, pd.DataFrame(values, index, names))


def _definition(**fields: Any) -> AnomalyDefinition:
    definition = parse_definition({"name": "loop", "kind": "anomaly", "assets": ["loop"], **fields})
    assert isinstance(definition, AnomalyDefinition)
    return definition


def _outcome(file: Path, window: str, share: float | None) -> Outcome:
    """Return the outcome of a training on the first rows of a recording; what is unknown raises
    nothing."""
    history, anomalous = _recording(file)
    threshold = {} if share is None else {"time_in_alarm": share}
    definition = _definition(windows=[window], stride="1s", threshold=threshold)
    return _count(_alarms(definition, history, NORMAL_ROWS)[1], anomalous[NORMAL_ROWS:])


def _alarms(
    definition: AnomalyDefinition, history: History, normal_rows: int
) -> tuple[FittedDetector, BoolArray]:
    """Return the detector of the first rows, which are normal, and which of the later ones are
    called an anomaly."""
    ts = millis(pd.DatetimeIndex(history.readings.index))
    start, cutoff, end = (from_millis(int(t)) for t in (ts[0] - 1, ts[normal_rows - 1], ts[-1]))
    view = in_memory(point_in_time_view(history, to_millis(cutoff)))
    data = LearningData([view], {}, NormalTime(start, cutoff, end))
    estimated = TRAINING.estimate(definition, 1, "detector", data)
    assert isinstance(estimated.model, AnomalyModel)
    fitted = estimated.model.by_asset["loop"]
    later = ts[normal_rows:]
    scores = fitted.score(build_features(fitted.plan, history, later).to_numpy(np.float64))
    alarm = (scores >= THRESHOLD) & has_enough_readings(fitted.plan, history, later)
    return fitted, np.asarray(alarm)


def _recording(file: Path) -> tuple[History, Any]:
    table = pd.read_csv(file, sep=";", index_col="datetime", parse_dates=True)
    table = table[~table.index.duplicated()]
    anomalous = table["anomaly"].to_numpy() > 0
    readings = table.drop(columns=["anomaly", "changepoint"]).astype(np.float64)
    readings.columns = pd.Index([variable_name(name) for name in readings.columns])
    readings.index = pd.DatetimeIndex(readings.index).tz_localize("UTC").as_unit("ms").rename("ts")
    variables = {str(name): Variable(sampling=timedelta(seconds=1)) for name in readings}
    return History(Asset(name="loop", variables=variables), readings), anomalous


def _count(alarm: Any, anomalous: Any) -> Outcome:
    pairs = ((alarm, anomalous), (alarm, ~anomalous), (~alarm, anomalous), (~alarm, ~anomalous))
    return Outcome(*(int((a & b).sum()) for a, b in pairs))


def _f1(outcomes: Sequence[Outcome]) -> float:
    hits = sum(one.hits for one in outcomes)
    return 2 * hits / max(2 * hits + sum(one.false + one.missed for one in outcomes), 1)


def _rate(outcomes: Sequence[Outcome], of: str, beside: str) -> float:
    counted = sum(getattr(one, of) for one in outcomes)
    return float(counted / max(counted + sum(getattr(one, beside) for one in outcomes), 1))


def _bounds(outcomes: Sequence[Outcome]) -> list[float]:
    """Return the 5 and 95 % quantiles of F1 over bootstrap samples of recordings."""
    chance = np.random.default_rng(0)
    drawn = [
        _f1([outcomes[i] for i in chance.integers(0, len(outcomes), len(outcomes))])
        for _ in range(_SAMPLES)
    ]
    return [
        round(float(value), 3) for value in np.quantile(np.array(drawn, np.float64), [0.05, 0.95])
    ]


def _trials(data: Path) -> Iterator[dict[str, object]]:
    """Yield pooled F1 on valve1 of every window and threshold."""
    files = sorted((data / "skab" / "valve1").glob("*.csv"))
    for window in WINDOWS:
        for share in SHARES:
            f1 = _f1([_outcome(file, window, share) for file in files])
            yield {"window": window, "time_in_alarm": share, "f1": round(f1, 3)}


if __name__ == "__main__":
    where = folder()
    if where is None:
        sys.exit(ABSENT)
    for line in _trials(where):
        print(json.dumps(line), flush=True)
