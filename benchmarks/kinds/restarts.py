"""False alarms after a restart, and the rate that detectors reach: lines that stop each night.

A line runs from six to eighteen for 13 weeks, with a reading a minute of six variables that follow
two slow courses, each with noise of its own. Detectors learn the first four fifths. In the rest,
which is as normal, count the time in alarm (anomaly, 1 % asked) and the signals (control chart, one
in 200 points asked) in the hour after each restart and in all other hours, and the synthetic
oscillations found: each of one variable, 1.5 to 4 of its deviations, with a period of 2 to 20
readings, for an hour. ALERTING_BENCH_SEEDS: lines (20).
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.signal import lfilter

from alerting.definitions.assets import Asset, Variable
from alerting.kinds.anomaly.evaluate import THRESHOLD
from alerting.kinds.anomaly.model import AnomalyModel
from alerting.kinds.anomaly.training import TRAINING as ANOMALY
from alerting.kinds.control_chart.definition import ControlChartDefinition
from alerting.kinds.control_chart.model import ControlChartModel
from alerting.kinds.control_chart.training import TRAINING as CHART
from alerting.kinds.control_chart.training import chart_series, charted_points
from alerting.kinds.protocol.training import LearningData, NormalTime
from alerting.kinds.validation import parse_definition
from alerting.learning.features.build import build_features
from alerting.learning.features.reading_counts import has_enough_readings
from alerting.readings.history import History, Millis, to_millis
from alerting.readings.long_history import in_memory

Floats = npt.NDArray[np.float64]
START = datetime(2026, 1, 5, tzinfo=UTC)
DAYS = 91
ASKED = 0.01
REACHED = 0.007, 0.014
RUN_LENGTH = 200
LEAST_FOUND = 0.9
_VARIABLES = 6
_DAY = 1440
_OPENS = 360
_CLOSES = 1080
_HOUR = 60
_SAMPLES = 1_000


class HourCounts(NamedTuple):
    """By day: what was counted, and of how many instants, after a restart and in other hours."""

    first: Floats
    first_of: Floats
    others: Floats
    others_of: Floats

    def rates(self) -> tuple[float, float]:
        """Return the rate after a restart, and that of other hours."""
        return (
            float(self.first.sum() / self.first_of.sum()),
            float(self.others.sum() / self.others_of.sum()),
        )

    def bounds(self) -> list[float]:
        """Return the 95 % interval of the difference of both rates, by a bootstrap over days."""
        drawn = np.random.default_rng(0).integers(0, len(self.first), (_SAMPLES, len(self.first)))
        first, first_of, others, others_of = (part[drawn].sum(axis=1) for part in self)
        found = np.quantile(first / first_of - others / others_of, [0.025, 0.975])
        return [round(float(value), 5) for value in found]


def run() -> dict[str, Any]:
    """Return rates after restarts and in other hours of both kinds, and rates reached by seed."""
    seeds = int(os.environ.get("ALERTING_BENCH_SEEDS", "20"))
    started = time.process_time()
    anomaly = list[HourCounts]()
    charts = list[HourCounts]()
    reached = list[float]()
    found = list[float]()
    for seed in range(seeds):
        counts, share, oscillations = measure_anomaly(seed)
        anomaly.append(counts)
        reached.append(share)
        found.append(oscillations)
        charts.append(measure_chart(seed))
        print(json.dumps({"seed": seed, "reached": share}), file=sys.stderr, flush=True)
    both = {"anomaly": _joined(anomaly), "control_chart": _joined(charts)}
    fair = all(low <= 0 <= high for low, high in (one.bounds() for one in both.values()))
    inside = sum(REACHED[0] <= share <= REACHED[1] for share in reached)
    return {
        "benchmark": "restarts",
        **{
            kind: {
                "hour_after_restart": round(one.rates()[0], 5),
                "other_hours": round(one.rates()[1], 5),
                "difference_95": one.bounds(),
            }
            for kind, one in both.items()
        },
        "reached_mean": round(float(np.mean(reached)), 4),
        "reached_within": f"{inside} of {seeds}",
        "oscillations_found": round(float(np.mean(found)), 3),
        "cpu_s": round(time.process_time() - started, 1),
        "met": fair
        and REACHED[0] <= float(np.mean(reached)) <= REACHED[1]
        and float(np.mean(found)) >= LEAST_FOUND,
    }


def measure_anomaly(seed: int) -> tuple[HourCounts, float, float]:
    """Return time in alarm by hours, its share of unseen time, and oscillations found there."""
    definition = parse_definition(
        {
            "name": "line-unlike-normal",
            "kind": "anomaly",
            "assets": ["line"],
            "normal": f"{DAYS}d",
            "stride": "5m",
            "threshold": {"time_in_alarm": ASKED},
        }
    )
    history, period = _line(seed)
    data = LearningData([in_memory(history)], {}, period)
    model = ANOMALY.estimate(definition, 1, "detector", data).model  # type: ignore[arg-type]
    assert isinstance(model, AnomalyModel)
    fitted = model.by_asset["line"]
    at = np.arange(to_millis(period.cutoff), to_millis(period.end), fitted.plan.stride_ms)

    def beyond(readings: History) -> tuple[Floats, Floats]:
        scores = fitted.score(build_features(fitted.plan, readings, at).to_numpy(np.float64))
        scores[~has_enough_readings(fitted.plan, readings, at)] = np.nan
        return (scores >= THRESHOLD).astype(np.float64), (~np.isnan(scores)).astype(np.float64)

    alarms, known = beyond(history)
    swinging, starts = _with_oscillations(history, at, seed)
    in_alarm, _ = beyond(swinging)
    found = [in_alarm[(at > start) & (at <= start + 3_600_000)].any() for start in starts]
    share = float(alarms.sum() / known.sum())
    return _by_hours(at, alarms, known), share, float(np.mean(found))


def measure_chart(seed: int) -> HourCounts:
    """Return signals that began, by hours, and points charted."""
    definition = parse_definition(
        {
            "name": "level-shifts",
            "kind": "control_chart",
            "assets": ["line"],
            "variable": "v0",
            "normal": f"{DAYS}d",
            "average_run_length": RUN_LENGTH,
        }
    )
    assert isinstance(definition, ControlChartDefinition)
    history, period = _line(seed)
    data = LearningData([in_memory(history)], {}, period)
    model = CHART.estimate(definition, 1, definition.families[0], data).model
    assert isinstance(model, ControlChartModel)
    series = chart_series(definition, history, data, period.cutoff, period.end)
    points = [*charted_points(definition, model.by_asset["line"], series)]
    at = np.array([point.at for point in points], np.int64)
    signals = np.array([bool(point.signals) for point in points])
    begun = signals & ~np.append(False, signals[:-1])
    return _by_hours(at, begun.astype(np.float64), np.ones(len(at)))


def _line(seed: int) -> tuple[History, NormalTime]:
    """Return the readings of a line, and the times to learn from."""
    chance = np.random.default_rng(seed)
    count = DAYS * _DAY
    courses = _slow(chance, 0.98, (count, 2)) @ chance.normal(size=(2, _VARIABLES))
    values = courses + 0.5 * _slow(chance, 0.8, (count, _VARIABLES))
    values += 0.5 * chance.normal(size=values.shape)
    minutes = np.arange(count)
    runs = (minutes % _DAY >= _OPENS) & (minutes % _DAY < _CLOSES)
    names = [f"v{number}" for number in range(_VARIABLES)]
    index = pd.DatetimeIndex(START + pd.to_timedelta(minutes[runs], "min"), name="ts").as_unit("ms")
    variables = {name: Variable(sampling=timedelta(minutes=1)) for name in names}
    history = History(
        Asset(name="line", variables=variables), pd.DataFrame(values[runs], index, names)
    )
    end = START + timedelta(days=DAYS)
    return history, NormalTime(START, START + timedelta(days=DAYS * 4 // 5), end)


def _slow(chance: np.random.Generator, memory: float, shape: tuple[int, int]) -> Floats:
    noise = chance.normal(size=shape) * np.sqrt(1 - memory**2)
    return np.asarray(lfilter([1.0], [1.0, -memory], noise, axis=0))


def _with_oscillations(history: History, at: Millis, seed: int) -> tuple[History, list[int]]:
    """Return the history with an oscillation at noon of each unseen day, and when each begins."""
    chance = np.random.default_rng([seed, 1])
    readings = history.readings.copy()
    noon = to_millis(START) + 43_200_000
    starts = [t for t in range(noon, int(at[-1]), _DAY * 60_000) if t > at[0]]
    ts = readings.index.as_unit("ms").asi8  # type: ignore[attr-defined]
    for start in starts:
        inside = np.flatnonzero((ts > start) & (ts <= start + _HOUR * 60_000))
        name = f"v{int(chance.integers(_VARIABLES))}"
        turn = 2 * np.pi * (np.arange(len(inside)) + 0.5) / int(chance.integers(2, 21))
        size = chance.uniform(1.5, 4.0) * float(readings[name].std()) * np.sqrt(2)
        values = readings[name].to_numpy(np.float64).copy()
        values[inside] += size * np.sin(turn)
        readings[name] = values
    return History(history.asset, readings), starts


def _by_hours(at: Millis, counted: Floats, of: Floats) -> HourCounts:
    minutes = (at - to_millis(START)) // 60_000
    day = minutes // _DAY - minutes[0] // _DAY
    first = (minutes % _DAY >= _OPENS) & (minutes % _DAY < _OPENS + _HOUR)
    return HourCounts(
        *(
            np.asarray(np.bincount(day[which], part[which], int(day[-1]) + 1), np.float64)
            for which in (first, ~first)
            for part in (counted, of)
        )
    )


def _joined(parts: Sequence[HourCounts]) -> HourCounts:
    return HourCounts(*(np.concatenate(part) for part in zip(*parts, strict=True)))
