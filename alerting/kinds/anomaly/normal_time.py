"""The rows of normal operation of one asset: all but problems, suppressed times, confirmed
episodes, and their surroundings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from alerting.deferred import pd
from alerting.definitions.faults import format_duration
from alerting.detection.problems import BoolArray, problem_intervals
from alerting.detection.suppressed_intervals import SuppressedInterval, is_covered, touches
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.model import known_variables
from alerting.kinds.training_protocol import LearningData, VerdictInterval
from alerting.learning.features.plan import FeaturePlan, NumberSource, UsualCount
from alerting.learning.features.point_in_time import build_features, grid
from alerting.learning.features.reading_counts import (
    Windowed,
    are_filled,
    count_readings,
    reach_of_pauses,
    regular_names,
    usual_counts,
)
from alerting.learning.models.trained import Floats
from alerting.readings.history import (
    LongHistory,
    Millis,
    duration_millis,
    has_data,
    millis,
    split_instants,
    to_millis,
)
from alerting.readings.variable_series import (
    CategoryValues,
    UsualDistance,
    category_values,
    declared_ms,
)

ROWS = 10_000
MOST_CELLS = 32_000_000
"""Values of the rows that are computed to learn from one asset (256 MB, and as much twice for
selections of them)."""
_WINDOW = 10  # usual intervals of readings
# least length of the time whose features are computed at once: each begins with one window more
_WINDOWS_AT_ONCE = 2
_NEARLY_ALL = 0.95  # of the normal rows: a variable with values in so many is steady
_NICE = tuple(
    1000 * s
    for s in (
        1,
        2,
        5,
        10,
        15,
        30,
        60,
        120,
        300,
        600,
        900,
        1800,
        3600,
        7200,
        14_400,
        21_600,
        43_200,
        86_400,
    )
)


@dataclass(frozen=True)
class NormalRows:
    """Rows of features of one asset at instants `at` (ms) of some period, with NaN where missing.

    `normal`: rows of normal operation. `confirmed_normal`: of episodes with the verdict
    false_alarm. `problems`: start and end (ms) of what is known not to be normal. `left_out`: rows
    by reason. `categories`: over time, where the definition names one.
    """

    at: Millis
    matrix: Floats
    normal: BoolArray
    confirmed_normal: BoolArray
    problems: tuple[tuple[int, int], ...]
    left_out: dict[str, int]
    enough: BoolArray
    usual: tuple[UsualCount, ...]
    categories: CategoryValues | None = None


def plan_of(
    definition: AnomalyDefinition, history: LongHistory, start: datetime, end: datetime
) -> FeaturePlan | None:
    """Return the columns for one asset, from its readings in (start, end]; None without a number
    that has values."""
    candidates = sorted(
        name for name in definition.numbers_of(history.asset) if name in history.variables
    )
    sampling, rows = _usual_distances(history, candidates, to_millis(start), to_millis(end))
    names = list(sampling)
    if not names:
        return None
    usual = int(np.median([value for value in sampling.values() if value] or [60_000]))
    observed = rows * max(usual, 1)
    stride = duration_millis(definition.stride) if definition.stride else _stride(usual, observed)
    windows = [duration_millis(w) for w in definition.windows or ()]
    windows = windows or [max(_WINDOW * usual, 2 * stride)]
    return FeaturePlan(
        stride_ms=stride,
        windows_ms=tuple(sorted(set(windows))),
        aggregations=definition.statistics,
        numbers=tuple(NumberSource(name, sampling[name]) for name in names),
        delay_ms=max(duration_millis(history.asset.delay(name)) for name in names),
    )


def _usual_distances(
    history: LongHistory, candidates: Sequence[str], start: int, end: int
) -> tuple[Mapping[str, int | None], int]:
    """Return the usual time (ms) between two values of those variables that have one in (start,
    end], and the readings there."""
    declared = {name: declared_ms(name, history.asset) for name in candidates}
    found = {name: UsualDistance() for name in candidates}
    there = set[str]()
    rows = 0
    for piece in history.pieces(candidates):
        ts = millis(pd.DatetimeIndex(piece.readings.index))
        inside = (ts > start) & (ts <= end)
        rows += int(inside.sum())
        for name in candidates:
            sound = has_data(piece, name)
            if sound[inside].any():
                there.add(name)
            if not declared[name]:
                found[name].add(ts[sound])
    return {
        name: declared[name] or found[name].median() for name in candidates if name in there
    }, rows


def _stride(usual: int, observed: int) -> int:
    """Return the shortest plain length that is not below the usual interval and gives about `ROWS`
    rows."""
    least = max(usual, observed // ROWS)
    return (
        next((length for length in _NICE if length >= least), _NICE[-1])
        if least > usual
        else max(usual, 1)
    )


def computed_strides(plan: FeaturePlan, start: datetime, end: datetime) -> int:
    """Return k where one stride in k is computed to learn from (start, end]: so the rows have at
    most `MOST_CELLS` values."""
    rows = (to_millis(end) - to_millis(start)) // plan.stride_ms
    return max(-(-rows * len(plan.columns) // MOST_CELLS), 1)


def rows_of(
    definition: AnomalyDefinition,
    plan: FeaturePlan,
    history: LongHistory,
    data: LearningData,
    start: datetime,
    end: datetime,
    every: int = 1,
) -> NormalRows:
    """Return the rows of (start, end], one in `every` strides, and which of them are normal
    operation. A plan without usual counts of readings gets those of these rows."""
    at = grid(to_millis(start), to_millis(end), every * plan.stride_ms)
    matrix, counted = _features(plan, history, at)
    groups = _groups(plan)
    known = known_variables(matrix, groups) * 2 >= len(groups)
    of_asset = [verdict for verdict in data.verdicts if verdict.asset == history.asset.name]
    problems = _problems(definition, history, [v for v in of_asset if v.verdict == "true_alarm"])
    around = duration_millis(definition.surroundings)
    window = plan.longest_window_ms
    in_problem = touches(problems, at, around, window)
    muted = [
        (to_millis(one.start), to_millis(one.end))
        for one in data.suppressed.get(history.asset.name, ())
    ]
    in_muted = touches(muted, at, around, window)
    confirmed = is_covered(
        [SuppressedInterval(v.start, v.end, "") for v in of_asset if v.verdict == "false_alarm"], at
    )
    normal = known & ~in_problem & ~in_muted
    usual = plan.usual
    if not usual:
        running = Windowed(*(part[normal] for part in counted))
        paused = _paused_windows(plan, running)
        found = usual_counts(regular_names(plan, history.head), plan.windows_ms, running)
        usual = tuple(one for one in found if one.window_ms not in paused)
    enough = are_filled(replace(plan, usual=usual), history.head, counted)
    normal &= enough
    left_out = {
        "without readings": int((~known).sum()),
        "with too few readings after a pause": int((known & ~enough).sum()),
        "around problems": int((known & in_problem).sum()),
        "around suppressed times": int((known & in_muted & ~in_problem).sum()),
    }
    by = definition.by
    categories = (
        None
        if by is None
        else category_values(history.asset, by, [piece.readings for piece in history.pieces([by])])
    )
    return NormalRows(
        at, matrix, normal, confirmed, tuple(problems), left_out, enough, usual, categories
    )


def _paused_windows(plan: FeaturePlan, running: Windowed) -> set[int]:
    """Return the windows (ms) that usually hold a pause: a day, where a line stops each night."""
    whole = running.whole.sum(axis=0) * 2 >= len(running.whole)
    return {window for window, usual in zip(plan.windows_ms, whole, strict=True) if not usual}


def _features(plan: FeaturePlan, history: LongHistory, at: Millis) -> tuple[Floats, Windowed]:
    """Return features and counts of readings at instants, of which so many are computed at once as
    some pieces of the readings have."""
    matrix = np.empty((len(at), len(plan.columns)))
    names = regular_names(plan, history.head)
    windows = plan.windows_ms
    counted = Windowed(
        np.zeros((len(at), len(names) * len(windows)), np.int32),
        np.zeros((len(at), len(windows)), np.bool_),
        np.zeros((len(at), len(windows)), np.bool_),
    )
    back = duration_millis(plan.lookback + reach_of_pauses(plan))
    for part in split_instants(history, at, _WINDOWS_AT_ONCE * back):
        some = at[part]
        readings = history.load_interval(int(some[0]) - back, int(some[-1]), plan.variables)
        matrix[part] = build_features(plan, readings, some).to_numpy(np.float64)
        for whole, of_part in zip(
            counted, count_readings(readings, names, windows, some), strict=True
        ):
            whole[part] = of_part
    return matrix, counted


def _problems(
    definition: AnomalyDefinition, history: LongHistory, confirmed: Iterable[VerdictInterval]
) -> list[tuple[int, int]]:
    found = [(to_millis(one.start), to_millis(one.end)) for one in confirmed]
    if definition.problem is not None:
        found += problem_intervals(
            definition.problem, history.load_all(definition.problem.variables)
        )
    return sorted(found)


def steady_variables(plan: FeaturePlan, matrix: Floats) -> tuple[str, ...]:
    """Return the variables that have a value in nearly all of these rows."""
    names = [number.name for number in plan.numbers]
    shares = [float(known_variables(matrix, [columns]).mean()) for columns in _groups(plan)]
    return tuple(name for name, share in zip(names, shares, strict=True) if share >= _NEARLY_ALL)


def has_all(plan: FeaturePlan, steady: Sequence[str], matrix: Floats) -> BoolArray:
    """Return the rows with a value of each of these variables."""
    groups = [
        columns
        for number, columns in zip(plan.numbers, _groups(plan), strict=True)
        if number.name in steady
    ]
    return np.asarray(known_variables(matrix, groups) == len(groups))


def _groups(plan: FeaturePlan) -> list[list[int]]:
    return [list(range(block.start, block.stop)) for block in plan.number_blocks.values()]


def describe_plan(plan: FeaturePlan) -> str:
    """Describe stride and windows of a plan."""
    windows = ", ".join(format_duration(timedelta(milliseconds=w)) for w in plan.windows_ms)
    return (
        f"{len(plan.numbers)} variables every "
        f"{format_duration(timedelta(milliseconds=plan.stride_ms))}, windows {windows}"
    )
