"""The rows of normal operation of one asset: all but problems, suppressed times, confirmed episodes, and their surroundings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from alerting.definitions.durations import format_duration
from alerting.detection.problems import BoolArray, problem_intervals
from alerting.detection.suppression import SuppressedInterval, is_covered, touches
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.model import known_variables
from alerting.kinds.training import LearningData, VerdictInterval
from alerting.learning.features.build import build_features, grid
from alerting.learning.features.plan import FeaturePlan, NumberSource
from alerting.learning.models.trained import Floats
from alerting.readings.cleaning import present
from alerting.readings.history import History, Millis, duration_millis, millis, to_millis
from alerting.readings.spacing import sampling_ms

ROWS = 10_000
_WINDOW = 10  # usual intervals of readings
_NEARLY_ALL = 0.95  # of the normal rows: a variable with values in so many is steady
_NICE = tuple(1000 * s for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400))


@dataclass(frozen=True)
class NormalRows:
    """Rows of features of one asset at instants `at` (ms) of some period, with NaN where missing.

    `normal`: rows of normal operation. `confirmed_normal`: of episodes with the verdict false_alarm. `problems`: start and end
    (ms) of what is known not to be normal. `left_out`: rows by reason.
    """

    at: Millis
    matrix: Floats
    normal: BoolArray
    confirmed_normal: BoolArray
    problems: tuple[tuple[int, int], ...]
    left_out: dict[str, int]


def plan_of(definition: AnomalyDefinition, history: History, start: datetime, end: datetime) -> FeaturePlan | None:
    """Return the columns for one asset, from its readings in (start, end]; None without a number that has values."""
    ts = millis(pd.DatetimeIndex(history.readings.index))
    inside = (ts > to_millis(start)) & (ts <= to_millis(end))
    names = sorted(n for n in definition.variables_evaluated(history.asset) if n in history.readings)
    names = [name for name in names if present(history, name)[inside].any()]
    if not names:
        return None
    sampling = {name: sampling_ms(name, [history]) for name in names}
    usual = int(np.median([value for value in sampling.values() if value] or [60_000]))
    observed = len(np.unique(ts[inside])) * max(usual, 1)
    stride = duration_millis(definition.stride) if definition.stride else _stride(usual, observed)
    windows = [duration_millis(w) for w in definition.windows or ()]
    windows = windows or [max(_WINDOW * usual, 2 * stride)]
    return FeaturePlan(
        stride_ms=stride,
        windows_ms=tuple(sorted(set(windows))),
        aggregations=definition.aggregations,
        numbers=tuple(NumberSource(name, sampling[name]) for name in names),
        delay_ms=max(duration_millis(history.delay(name)) for name in names),
    )


def _stride(usual: int, observed: int) -> int:
    """Return the shortest plain length that is not below the usual interval and gives about `ROWS` rows."""
    least = max(usual, observed // ROWS)
    return next((length for length in _NICE if length >= least), _NICE[-1]) if least > usual else max(usual, 1)


def rows_of(
    definition: AnomalyDefinition,
    plan: FeaturePlan,
    history: History,
    data: LearningData,
    start: datetime,
    end: datetime,
) -> NormalRows:
    """Return the rows of (start, end], and which of them are normal operation."""
    at = grid(to_millis(start), to_millis(end), plan.stride_ms)
    matrix = build_features(plan, history, at).to_numpy(np.float64)
    groups = _groups(plan)
    known = known_variables(matrix, groups) * 2 >= len(groups)
    of_asset = [verdict for verdict in data.verdicts if verdict.asset == history.asset.name]
    problems = _problems(definition, history, [v for v in of_asset if v.verdict == "true_alarm"])
    around, window = duration_millis(definition.surroundings), plan.longest_window_ms
    in_problem = touches(problems, at, around, window)
    muted = [(to_millis(one.start), to_millis(one.end)) for one in data.suppressed.get(history.asset.name, ())]
    in_muted = touches(muted, at, around, window)
    confirmed = is_covered([SuppressedInterval(v.start, v.end, "") for v in of_asset if v.verdict == "false_alarm"], at)
    normal = known & ~in_problem & ~in_muted
    left_out = {
        "without readings": int((~known).sum()),
        "around problems": int((known & in_problem).sum()),
        "around suppressed times": int((known & in_muted & ~in_problem).sum()),
    }
    return NormalRows(at, matrix, normal, confirmed, tuple(problems), left_out)


def _problems(definition: AnomalyDefinition, history: History, confirmed: Iterable[VerdictInterval]) -> list[tuple[int, int]]:
    found = [(to_millis(one.start), to_millis(one.end)) for one in confirmed]
    if definition.problem is not None:
        found += problem_intervals(definition.problem, history)
    return sorted(found)


def steady_variables(plan: FeaturePlan, matrix: Floats) -> tuple[str, ...]:
    """Return the variables that have a value in nearly all of these rows."""
    names = [number.name for number in plan.numbers]
    shares = [float(known_variables(matrix, [columns]).mean()) for columns in _groups(plan)]
    return tuple(name for name, share in zip(names, shares, strict=True) if share >= _NEARLY_ALL)


def has_all(plan: FeaturePlan, steady: Sequence[str], matrix: Floats) -> BoolArray:
    """Return the rows with a value of each of these variables."""
    groups = [columns for number, columns in zip(plan.numbers, _groups(plan), strict=True) if number.name in steady]
    return np.asarray(known_variables(matrix, groups) == len(groups))


def _groups(plan: FeaturePlan) -> list[list[int]]:
    return [list(range(block.start, block.stop)) for block in plan.number_blocks.values()]


def describe_plan(plan: FeaturePlan) -> str:
    """Describe stride and windows of a plan."""
    windows = ", ".join(format_duration(timedelta(milliseconds=w)) for w in plan.windows_ms)
    return f"{len(plan.numbers)} variables every {format_duration(timedelta(milliseconds=plan.stride_ms))}, windows {windows}"
