"""The rows of normal operation of one asset: all rows except problems, suppressed times, confirmed
episodes, and their surroundings; and the space of these rows: columns in units of their usual
deviation, and the value of each column that the other columns lead to expect. Each category has
units of its own, because what is usual for one recipe is not for another.

The relations between columns are learned from all categories together, each row relative to the
level of its category. Every product is a sum over columns in a fixed order and never a matrix
product, whose last bits depend on the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median_low
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.faults import format_duration
from alerting.definitions.wording.language import count_in_english
from alerting.detection.problem_occurrences import problem_intervals
from alerting.detection.suppressed_intervals import SuppressedInterval, is_covered, touches
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.reading_spacing import seldom_variables
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
from alerting.readings.history import (
    BoolArray,
    Floats,
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
    Labels,
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
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
_HOURS = (4, 6, 12, 24)
_NICE = (*(1000 * s for s in _SECONDS), *(3_600_000 * h for h in _HOURS))


@dataclass(frozen=True)
class NormalRows:
    """Rows of features of one asset at instants `at` (ms) of some period; NaN is missing.

    `normal`: mask of rows of normal operation. `confirmed_normal`: mask of rows in episodes with
    the verdict false_alarm. `problems`: start and end (ms) of times known not to be normal.
    `left_out`: number of other rows by reason. `categories`: values of the definition's category
    over time, if it names one.
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


class AssetPlan(NamedTuple):
    """The feature plan of one asset. `seldom`: variables that come too seldom for its shortest
    window, with their spacing; it leaves out those that `include` does not name."""

    features: FeaturePlan
    seldom: Mapping[str, timedelta | None]


def plan_of(
    definition: AnomalyDefinition, history: LongHistory, start: datetime, end: datetime
) -> AssetPlan | None:
    """Return the feature plan of one asset, from the rows of its readings in (start, end]; None if
    no number has values. Variables that come too seldom for the shortest window are left out,
    unless `include` names them."""
    candidates = sorted(
        name for name in definition.numbers_of(history.asset) if name in history.variables
    )
    sampling, rows = _usual_distances(history, candidates, to_millis(start), to_millis(end))
    if not sampling:
        return None
    spacings = {name: timedelta(milliseconds=ms) if ms else None for name, ms in sampling.items()}
    measured = [spacing for spacing in spacings.values() if spacing is not None]
    stride, windows = plan_lengths(definition, measured, rows)
    seldom = seldom_variables(spacings, timedelta(milliseconds=windows[0]))
    names = [name for name in sampling if name not in seldom or name in definition.include]
    features = FeaturePlan(
        stride_ms=stride,
        windows_ms=windows,
        aggregations=definition.statistics_of(len(names)),
        numbers=tuple(NumberSource(name, sampling[name]) for name in names),
        delay_ms=max(duration_millis(history.asset.delay(name)) for name in names),
    )
    return AssetPlan(features, seldom)


def plan_lengths(
    definition: AnomalyDefinition, spacings: Iterable[timedelta], rows: int
) -> tuple[int, tuple[int, ...]]:
    """Return the stride and the windows (ms) for `rows` readings with these usual spacings."""
    usual = duration_millis(median_low([*spacings] or [timedelta(minutes=1)]))
    observed = rows * max(usual, 1)
    stride = duration_millis(definition.stride) if definition.stride else _stride(usual, observed)
    windows = {duration_millis(w) for w in definition.windows or ()}
    return stride, tuple(sorted(windows or {max(_WINDOW * usual, 2 * stride)}))


def _usual_distances(
    history: LongHistory, candidates: Sequence[str], start: int, end: int
) -> tuple[Mapping[str, int | None], int]:
    """Return, for variables with values in (start, end], the usual time (ms) between two values,
    and the readings there."""
    declared = {name: declared_ms(name, history.asset) for name in candidates}
    distances = {name: UsualDistance() for name in candidates}
    with_values = set[str]()
    rows = 0
    for piece in history.pieces(candidates):
        ts = millis(pd.DatetimeIndex(piece.readings.index))
        inside = (ts > start) & (ts <= end)
        rows += int(inside.sum())
        for name in candidates:
            sound = has_data(piece, name)
            if sound[inside].any():
                with_values.add(name)
            if not declared[name]:
                distances[name].add(ts[sound])
    return {
        name: declared[name] or distances[name].median()
        for name in candidates
        if name in with_values
    }, rows


def _stride(usual: int, observed: int) -> int:
    """Return the stride: the shortest plain length that is not below the usual interval and gives
    about `ROWS` rows."""
    least = max(usual, observed // ROWS)
    return (
        next((length for length in _NICE if length >= least), _NICE[-1])
        if least > usual
        else max(usual, 1)
    )


def computed_strides(plan: FeaturePlan, start: datetime, end: datetime) -> int:
    """Return the least k for which learning from every k-th stride of (start, end] needs at most
    `MOST_CELLS` values."""
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
    """Return the rows of (start, end], one in `every` strides, with a mask of normal operation. A
    plan without usual counts of readings gets the usual counts of these rows."""
    at = grid(to_millis(start), to_millis(end), every * plan.stride_ms)
    matrix, counted = _features(plan, history, at)
    groups = _groups(plan)
    is_known = known_variables(matrix, groups) * 2 >= len(groups)
    of_asset = [verdict for verdict in data.verdicts if verdict.asset == history.asset.name]
    problems = _problems(definition, history, [v for v in of_asset if v.verdict == "true_alarm"])
    around = duration_millis(definition.surroundings)
    window = plan.longest_window_ms
    in_problem = touches(problems, at, around, window)
    muted = [
        (to_millis(interval.start), to_millis(interval.end))
        for interval in data.suppressed.get(history.asset.name, ())
    ]
    in_muted = touches(muted, at, around, window)
    confirmed = is_covered(
        [SuppressedInterval(v.start, v.end, "") for v in of_asset if v.verdict == "false_alarm"], at
    )
    normal = is_known & ~in_problem & ~in_muted
    usual = plan.usual
    if not usual:
        running = Windowed(*(part[normal] for part in counted))
        counts = usual_counts(regular_names(plan, history.head), plan.windows_ms, running)
        # a window that usually contains a pause, such as a day on a line that stops each night
        whole = running.whole.sum(axis=0) * 2 >= len(running.whole)
        paused = {
            window for window, is_whole in zip(plan.windows_ms, whole, strict=True) if not is_whole
        }
        usual = tuple(count for count in counts if count.window_ms not in paused)
    names = regular_names(plan, history.head)
    enough = are_filled(replace(plan, usual=usual), names, plan.windows_ms, counted)
    normal &= enough
    left_out = {
        "without readings": int((~is_known).sum()),
        "with too few readings after a pause": int((is_known & ~enough).sum()),
        "around problems": int((is_known & in_problem).sum()),
        "around suppressed times": int((is_known & in_muted & ~in_problem).sum()),
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


def _features(plan: FeaturePlan, history: LongHistory, at: Millis) -> tuple[Floats, Windowed]:
    """Return features and counts of readings at instants. A few pieces of the readings are in
    memory at a time."""
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
    """Return start and end (ms) of the times known not to be normal, sorted."""
    intervals = [(to_millis(verdict.start), to_millis(verdict.end)) for verdict in confirmed]
    if definition.problem is not None:
        intervals += problem_intervals(
            definition.problem, history.load_all(definition.problem.variables)
        )
    return sorted(intervals)


def steady_variables(plan: FeaturePlan, matrix: Floats) -> tuple[str, ...]:
    """Return the variables with a value in nearly all of these rows."""
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
    variables = count_in_english("{number} variable", "{number} variables", len(plan.numbers))
    stride = format_duration(timedelta(milliseconds=plan.stride_ms))
    return f"{variables} every {stride}, windows {windows}"


Arrays = Mapping[str, npt.NDArray[np.float64]]
# usual deviations at which a value is clipped: the code of a fault does not decide by its size
FARTHEST = 50.0
_FLOOR = 0.1  # of the usual spread: what is added to a spread before its logarithm
_LEAST_VALUES = 50  # of a spread, from which it is known
_SHRINK = 1e-3  # of the covariance towards independent columns
_LEAST_SCALE = 1e-3  # of the centre: a value that never varied
_ROUNDS = 10
_TOUCHED = 4.0  # times the median distance, from which a row is far from the others
_TOUCHED_ALONE = 7.0  # in a single column: as many deviations (4.7) as in two


def product(rows: Floats, weights: Floats) -> Floats:
    """Return rows (n x k) times weights (k x m), each row with the same bits whatever the other
    rows are."""
    products = np.zeros((len(rows), weights.shape[1]))
    for column in range(len(weights)):
        products += rows[:, column, None] * weights[column]
    return products


def squared_length(rows: Floats) -> Floats:
    """Return the sum of squares of each row."""
    lengths = np.zeros(len(rows))
    for column in range(rows.shape[1]):
        lengths += rows[:, column] ** 2
    return lengths


@dataclass(frozen=True)
class NormalSpace:
    """The space of normal rows of k columns: `centre`, `scale` (k), and `precision` (k x k), the
    inverse covariance of scaled columns.

    `floors` (k): above 0 for a column that counts by the logarithm of its value plus this floor;
    NaN for a column that does not count; None without any spread.
    """

    centre: Floats
    scale: Floats
    precision: Floats
    floors: Floats | None = None

    @staticmethod
    def fit(matrix: Floats, floors: Floats | None = None) -> NormalSpace:
        """Fit a space to rows (n x k) of normal operation; NaN is missing, and counts as the mean
        of its column."""
        matrix = take_logarithms(matrix, floors)
        centre = np.array([_statistic(np.mean, column) for column in matrix.T])
        spread = np.array([_statistic(np.std, column) for column in matrix.T])
        scale = np.maximum(spread, np.maximum(_LEAST_SCALE * np.abs(centre), 1e-9))
        return NormalSpace(centre, scale, precision_of((matrix - centre) / scale), floors)

    def encode(self, matrix: Floats) -> Floats:
        """Return rows in usual deviations from the centre; a missing value becomes the value that
        the other columns lead to expect."""
        matrix = take_logarithms(matrix, self.floors)
        rows = np.clip((matrix - self.centre) / self.scale, -FARTHEST, FARTHEST)
        missing = np.isnan(rows)
        if missing.any():
            patterns, pattern_of_row = np.unique(missing, axis=0, return_inverse=True)
            for number, pattern in enumerate(patterns):
                if pattern.any():
                    which = np.flatnonzero(pattern_of_row == number)
                    rows[np.ix_(which, np.flatnonzero(pattern))] = self._expected(
                        rows[which], pattern
                    )
        return rows

    def expect(self, rows: Floats, columns: Sequence[int]) -> Floats:
        """Return encoded rows in which some columns have the values that the other columns lead to
        expect."""
        pattern = np.zeros(len(self.centre), np.bool_)
        pattern[list(columns)] = True
        repaired = rows.copy()
        repaired[:, pattern] = self._expected(rows, pattern)
        return repaired

    def decode(self, rows: Floats) -> Floats:
        """Return encoded rows in the units of the readings."""
        decoded = rows * self.scale + self.centre
        if self.floors is not None:
            logged = self.floors != 0
            decoded[:, logged] = np.maximum(np.exp(decoded[:, logged]) - self.floors[logged], 0.0)
        return decoded

    def _expected(self, rows: Floats, missing: BoolArray) -> Floats:
        """Return the conditional mean of missing columns, given the other columns of a normal
        distribution."""
        present = ~missing
        if not present.any():
            return np.zeros((len(rows), int(missing.sum())))
        weights = -np.linalg.solve(
            self.precision[np.ix_(missing, missing)], self.precision[np.ix_(missing, present)]
        )
        return product(rows[:, present], np.ascontiguousarray(weights.T))

    def arrays(self) -> dict[str, Floats]:
        """Return its arrays by name."""
        by_name = {"centre": self.centre, "scale": self.scale, "precision": self.precision}
        return by_name if self.floors is None else by_name | {"floors": self.floors}

    @staticmethod
    def from_arrays(arrays: Arrays) -> NormalSpace:
        """Return the space of these arrays."""
        return NormalSpace(
            arrays["centre"], arrays["scale"], arrays["precision"], arrays.get("floors")
        )


def spread_floors(matrix: Floats, spreads: BoolArray) -> Floats | None:
    """Return the floors of normal rows (n x k) whose columns `spreads` are spreads; None without
    any spread.

    A spread varies in proportion to itself, so its logarithm counts. A spread with few values, or
    that is always 0, does not count.
    """
    if not spreads.any():
        return None
    floors = np.zeros(matrix.shape[1])
    for column in np.flatnonzero(spreads):
        values = matrix[~np.isnan(matrix[:, column]), column]
        is_known = len(values) >= _LEAST_VALUES and values.any()
        floors[column] = _FLOOR * (np.median(values) or values.mean()) if is_known else np.nan
    return floors


def take_logarithms(matrix: Floats, floors: Floats | None) -> Floats:
    """Return rows with the logarithms of spreads; NaN for spreads that do not count."""
    if floors is None:
        return matrix
    logged = floors != 0
    logarithms = matrix.copy()
    logarithms[:, logged] = np.log(matrix[:, logged] + floors[logged])
    return logarithms


def precision_of(scaled: Floats) -> Floats:
    """Return the inverse covariance of scaled rows (n x k) around 0; a missing value counts as
    0."""
    rows = np.nan_to_num(scaled)
    covariance = rows.T @ rows / max(len(rows), 1)
    covariance = (1 - _SHRINK) * covariance + _SHRINK * np.eye(len(covariance))
    return np.asarray(np.linalg.inv(covariance))


def far_from_others(matrix: Floats, most: float, trusted: BoolArray) -> BoolArray:
    """Return a mask of the rows that are far from all others: at most the share `most` of the rows,
    and no `trusted` row.

    The distance is measured by the covariance of the central rows, which rounds of concentration
    find (Rousseeuw and Van Driessen 1999); a row is far beyond `_TOUCHED` times the median
    distance, in a single column `_TOUCHED_ALONE` times.
    """
    if not most or not len(matrix):
        return np.zeros(len(matrix), np.bool_)
    count = int(most * len(matrix))
    middle, spread = robust_level(matrix)
    rough = replace(NormalSpace.fit(matrix), centre=middle, scale=spread)
    distance = squared_length(rough.encode(matrix))
    for _ in range(_ROUNDS):
        central = (
            distance <= np.partition(distance, len(distance) - 1 - count)[len(distance) - 1 - count]
        )
        space = NormalSpace.fit(matrix[central])
        rows = space.encode(matrix)
        distance = np.einsum("ij,jk,ik->i", rows, space.precision, rows)
    touched = _TOUCHED if matrix.shape[1] > 1 else _TOUCHED_ALONE
    far = (
        np.sqrt(np.maximum(distance, 0))
        > touched * np.sqrt(max(_statistic(np.median, distance), 0))
    ) & ~trusted
    if far.sum() > count:
        far &= distance >= np.sort(distance[far])[-count] if count else False
    return np.asarray(far)


def robust_level(matrix: Floats) -> tuple[Floats, Floats]:
    """Return the median of each column, and its standard deviation estimated from the median
    absolute deviation (the usual standard deviation if that is 0)."""
    middle = np.array([_statistic(np.median, column) for column in matrix.T])
    spread = np.array(
        [
            1.4826 * _statistic(np.median, np.abs(column - m))
            for column, m in zip(matrix.T, middle, strict=True)
        ]
    )
    usual = np.array([_statistic(np.std, column) for column in matrix.T])
    return middle, np.where(spread > 0, spread, np.maximum(usual, 1e-9))


def _statistic(statistic: Callable[[Floats], Any], values: Floats) -> float:
    """Return a statistic of each column's values that are not missing; 0 for a column without
    any."""
    present = values[~np.isnan(values)]
    return float(statistic(present)) if len(present) else 0.0


Rows = npt.NDArray[np.int64]
Spaces = Mapping[str | None, NormalSpace]
"""The normal space of each category; None: of rows without one."""
LEAST_ROWS = 50
"""Rows from which the level of a category is known, and values from which that of a column in it
is."""


def fit_spaces(matrix: Floats, categories: Labels, spreads: BoolArray) -> Spaces:
    """Fit a space for each category to rows (n x k) of normal operation: centre and scale by
    category, one precision for all. `spreads`: mask (k) of columns that count by their logarithm.

    A column with few values in a category gets the centre and scale of all rows.
    """
    floors = spread_floors(matrix, spreads)
    together = NormalSpace.fit(matrix, floors)
    groups = group_rows(categories)
    if groups.keys() <= {None}:
        return {None: together}
    matrix = take_logarithms(matrix, floors)
    scaled = np.empty_like(matrix)
    levels = dict[str | None, tuple[Floats, Floats]]()
    for category, which in groups.items():
        part = NormalSpace.fit(matrix[which])
        few = (~np.isnan(matrix[which])).sum(axis=0) < LEAST_ROWS
        scale = np.maximum(part.scale, _LEAST_SCALE * together.scale)
        levels[category] = (
            np.where(few, together.centre, part.centre),
            np.where(few, together.scale, scale),
        )
        scaled[which] = (matrix[which] - levels[category][0]) / levels[category][1]
    precision = precision_of(scaled)
    return {
        category: NormalSpace(centre, scale, precision, floors)
        for category, (centre, scale) in levels.items()
    }


def known_variables(matrix: Floats, groups: Iterable[list[int]]) -> Any:
    """Return how many groups of columns have a value in each row."""
    counts = np.zeros(len(matrix), np.int64)
    for columns in groups:
        counts += ~np.isnan(matrix[:, columns]).all(axis=1)
    return counts


def encode(spaces: Spaces, matrix: Floats, categories: Labels) -> Floats:
    """Return rows in usual deviations from the centre of their category. Raises KeyError for a
    category without a space."""
    rows = np.empty_like(matrix)
    for category, which in group_rows(categories).items():
        rows[which] = spaces[category].encode(matrix[which])
    return rows


def around_own_level(matrix: Floats, categories: Labels) -> Floats:
    """Return rows in robust deviations from the median of their category, to find rows that are far
    from all others."""
    rows = np.empty_like(matrix)
    for which in group_rows(categories).values():
        middle, spread = robust_level(matrix[which])
        rows[which] = (matrix[which] - middle) / spread
    return rows


def group_rows(categories: Labels) -> dict[str | None, Rows]:
    """Return the positions of the rows of each category, in the order in which they occur."""
    by_category: dict[str | None, list[int]] = {}
    for position, category in enumerate(categories.tolist()):
        by_category.setdefault(category, []).append(position)
    return {category: np.array(positions, np.int64) for category, positions in by_category.items()}
