"""An asset at one instant as a model sees it, with changed settings: feature rows and risks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.asset_documents import Relation
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.features.point_in_time import build_features, build_features_many
from alerting.learning.models.trained import NormalSample, TrainedModel
from alerting.readings.history import (
    BoolArray,
    Floats,
    History,
    Millis,
    duration_millis,
    millis,
    with_computed,
)
from alerting.recommendation.levers import (
    MOST_ROWS,
    SLACK,
    Lever,
    followers,
    following,
    known_instants,
    usual_step,
)


@dataclass(frozen=True)
class Courses:
    """The readings of an asset up to an instant, and after it with constant values, except for the
    levers that are moved.

    `interval_ms`: length of the interval before the end in which a setting without a ramp applies.
    """

    history: History
    instant: int
    interval_ms: int

    def moved(
        self, levers: Sequence[Lever], values: Floats, ends: Millis
    ) -> list[dict[str, Floats]]:
        """Return, for each what-if, the values of every variable that changes, one per reading.

        `values`: settings (what-ifs x levers); `ends`: the instant of each what-if. Categories are
        left out, because they have no ramp.
        """
        numbers = [(lever, values[:, i]) for i, lever in enumerate(levers) if not lever.levels]
        courses = {lever.name: self._course(lever, to, ends) for lever, to in numbers}
        deltas = {name: self._delta(name, course, ends) for name, course in courses.items()}
        for relation in following(self.history.asset, *courses):
            drivers = [deltas.get(name, np.zeros((1, len(self._ts)))) for name in relation.drivers]
            deltas[relation.variable] = self._follow(relation, drivers)
            if relation.variable in self.history.readings and pd.api.types.is_numeric_dtype(
                self.history.readings[relation.variable].dtype
            ):
                courses[relation.variable] = (
                    self._own(relation.variable) + deltas[relation.variable]
                )
        what_ifs = [
            {name: course[k] for name, course in courses.items()} for k in range(len(values))
        ]
        names = [
            name
            for name in self.history.asset.computed_of(courses)
            if name in self.history.readings
        ]
        before = with_computed(self.history, names).readings
        return (
            [moved | self._computed(names, moved, before) for moved in what_ifs]
            if names
            else what_ifs
        )

    def _computed(
        self, names: Sequence[str], moved: dict[str, Floats], before: pd.DataFrame
    ) -> dict[str, Floats]:
        after = with_computed(
            replace(self.history, readings=self.history.readings.assign(**moved)), names
        ).readings
        return {
            name: self._own(name) + np.nan_to_num((after[name] - before[name]).to_numpy(np.float64))
            for name in names
        }

    @property
    def _ts(self) -> Millis:
        return millis(pd.DatetimeIndex(self.history.readings.index))

    def _course(self, lever: Lever, to: Floats, ends: Millis) -> Floats:
        present = np.repeat(self._own(lever.name)[None, :], len(to), axis=0)
        if lever.rate is not None:
            after = self._ts > self.instant
            gone = lever.rate * (self._ts[after] - self.instant)
            present[:, after] = lever.present + np.clip(
                (to - lever.present)[:, None], -gone[None, :], gone[None, :]
            )
            return present
        known_at = known_instants(self.history, lever.name)
        is_known = ~np.isnan(present[0]) & (known_at <= ends[:, None])
        recent = is_known & (known_at > ends[:, None] - self.interval_ms)
        newest = is_known & (
            np.arange(len(known_at))
            == np.where(is_known, np.arange(len(known_at)), -1).max(axis=1)[:, None]
        )
        applies = np.where(recent.any(axis=1)[:, None], recent, newest)
        return np.where(applies, to[:, None], present)

    def _delta(self, name: str, course: Floats, ends: Millis) -> Floats:
        """Return, at each reading, by how much the value in force of a variable differs from that
        without changes."""
        before = _carry(self._own(name)[None, :])
        within = self._ts[None, :] > np.minimum(ends - self.interval_ms, self.instant)[:, None]
        return np.where(within, np.nan_to_num(_carry(course) - before), 0.0)

    def _follow(self, relation: Relation, drivers: Sequence[Floats]) -> Floats:
        """Return the change of a variable that follows others: at once, or as an exact first-order
        lag."""
        change = relation.gain * (drivers[0] if len(drivers) == 1 else drivers[0] - drivers[1])
        if relation.time_constant is None:
            return np.asarray(change)
        decay = np.exp(-np.diff(self._ts) / duration_millis(relation.time_constant))
        lagged = np.zeros_like(change)
        for i in range(int(change.any(axis=0).argmax()) + 1, change.shape[1]):
            lagged[:, i] = change[:, i - 1] + (lagged[:, i - 1] - change[:, i - 1]) * decay[i - 1]
        return lagged

    def _own(self, name: str) -> Floats:
        return self.history.readings[name].to_numpy(np.float64)


def _carry(values: Floats) -> Floats:
    newest = np.maximum.accumulate(
        np.where(np.isnan(values), -1, np.arange(values.shape[1])), axis=1
    )
    return np.where(newest < 0, np.nan, np.take_along_axis(values, np.maximum(newest, 0), axis=1))


def hold(
    plan: FeaturePlan, history: History, instant: int, until: int, always: Sequence[str]
) -> History:
    """Return the history continued up to an instant with the last value of every variable, at its
    usual sampling.

    A variable without a usual sampling gets no readings: its last value is carried forward.
    Variables in `always` have a value at every added reading.
    """
    sampling = {number.name: number.sampling_ms for number in plan.numbers}
    step = max(usual_step(plan), -(-(until - instant) // MOST_ROWS))
    times = instant + np.arange(1, (until - instant) // step + 1, dtype=np.int64) * step
    if not len(times) or times[-1] < until:
        times = np.append(times, until)
    columns = {}
    for name, column in history.readings.items():
        last = column.dropna()
        value = last.iloc[-1] if len(last) else np.nan
        every = step if name in always or name not in sampling else sampling[str(name)]
        due = np.zeros(len(times), np.bool_)
        if every:
            due = (times - instant) // every != np.append(0, times[:-1] - instant) // every
            due |= name in always
        added = pd.Series([value if d else None for d in due], dtype=object)
        is_number = pd.api.types.is_numeric_dtype(column.dtype)
        columns[name] = pd.to_numeric(added).astype(column.dtype) if is_number else added
    index = pd.DatetimeIndex(times.astype("M8[ms]"), name="ts").tz_localize("UTC")
    more = pd.DataFrame({name: column.to_numpy() for name, column in columns.items()}, index=index)
    return replace(
        history,
        readings=pd.concat([history.readings, more.astype(history.readings.dtypes.to_dict())]),
    )


Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """The values of one lever, increasing: its settings, and the values that result if a setting is
    missed.

    `features`: for each value, the model's columns in `columns`, which depend on this lever alone.
    `settings`: positions of the allowed settings that are plausible by themselves. `misses`:
    positions of the values that result if each value is missed (values x misses).
    """

    lever: Lever
    values: Floats
    features: Floats
    columns: Ints
    settings: Ints
    misses: Ints

    @cached_property
    def efforts(self) -> Floats:
        """Return the effort of each value."""
        return np.array([self.lever.effort(v) for v in self.values.tolist()])

    @cached_property
    def reliefs(self) -> Floats:
        """Return each value's estimated relief of the problem variable."""
        return (
            np.zeros(len(self.values))
            if self.lever.levels
            else self.lever.relief * (self.values - self.lever.present)
        )


class AdviceSituation:
    """The what-ifs of one instant. `scorings`: number of rows that the model has scored."""

    def __init__(
        self,
        model: TrainedModel,
        history: History,
        instant: int,
        base: Floats,
        levers: Sequence[Lever],
    ) -> None:
        self.model = model
        self.base = base
        self.scorings = 0
        interval = max(duration_millis(model.horizon), model.plan.windows_ms[0])
        self._instant = instant
        self._levels = [lever for lever in levers if lever.levels]
        values = [_values(lever) for lever in levers]
        longest = max(
            (
                lever.ramp_ms(v)
                for lever, lever_values in zip(levers, values, strict=True)
                for v in lever_values.tolist()
            ),
            default=0.0,
        )
        if longest:
            moved = [
                name
                for lever in levers
                if lever.rate
                for name in (lever.name, *followers(history.asset, lever.name))
            ]
            history = hold(
                model.plan, history, instant, instant + self._whole_buckets(longest), moved
            )
        self._courses = Courses(history, instant, interval)
        self.grids = [
            self._grid(lever, lever_values)
            for lever, lever_values in zip(levers, values, strict=True)
        ]

    def rows(self, members: Sequence[int], at: Ints) -> Floats:
        """Return the matrix of combinations: positions in the grids of some levers."""
        grids = [self.grids[i] for i in members]
        if not self.is_glued(members):
            return self._compute_rows_anew(
                [g.lever for g in grids],
                np.column_stack([g.values[at[:, k]] for k, g in enumerate(grids)]),
            )
        matrix = np.repeat(self.base[None, :], len(at), axis=0)
        for k, grid in enumerate(grids):
            matrix[:, grid.columns] = grid.features[at[:, k]]
        return matrix

    def is_glued(self, members: Sequence[int]) -> bool:
        """Return whether the columns of these levers can be computed for each lever alone and then
        combined."""
        columns = [set(self.grids[i].columns.tolist()) for i in members]
        return sum(map(len, columns)) == len(set().union(*columns))

    def risk(self, matrix: Floats) -> Floats:
        """Return the risk of each row."""
        self.scorings += len(matrix)
        return self.model.calibration.probability(self.model.estimator.margin_of(matrix))

    def distance(self, matrix: Floats) -> Floats:
        """Return the distance of each row from normal operation; 0 if the model does not know
        normal operation."""
        normal = self.model.normal
        return (
            np.zeros(len(matrix))
            if normal is None
            else normal.distance(matrix[:, self._normal_columns(normal)])
        )

    def values_of(self, row: Floats, name: str) -> float | None:
        """Return a variable's level in a row; None if the model does not read or know it."""
        for column in (
            f"{name}.last",
            *(
                c.name
                for c in self.model.plan.layout
                if c.source == name and c.aggregation == "mean"
            ),
        ):
            if column in self.model.plan.columns:
                value = float(row[self.model.plan.columns.index(column)])
                return None if np.isnan(value) else value
        return None

    def _grid(self, lever: Lever, values: Floats) -> Grid:
        columns = self._columns_of(lever)
        features = (
            self._compute_rows_anew([lever], values[:, None])[:, columns]
            if len(values)
            else np.empty((0, len(columns)))
        )
        allowed = np.isin(values, np.array(lever.settings)) & self._plausible(columns, features)
        missed = np.clip(values[:, None] + np.array([0.0, *lever.misses]), lever.low, lever.high)
        misses = (
            np.searchsorted(values, np.round(missed, 9))
            if lever.misses
            else np.arange(len(values))[:, None]
        )
        return Grid(
            lever,
            values,
            features,
            columns,
            np.flatnonzero(allowed),
            np.minimum(misses, len(values) - 1),
        )

    def _columns_of(self, lever: Lever) -> Ints:
        if lever.rate is not None:
            return np.arange(len(self.base))
        names = {lever.name, *followers(self._courses.history.asset, lever.name)}
        layout = self.model.plan.layout
        return np.array(
            [i for i, c in enumerate(layout) if c.kind == "variable" and c.source in names],
            np.int64,
        )

    def _compute_rows_anew(self, levers: Sequence[Lever], values: Floats) -> Floats:
        """Return the matrix of combinations of settings, with all features computed anew."""
        ramps = np.array(
            [
                [lever.ramp_ms(v) for lever, v in zip(levers, row, strict=True)]
                for row in values.tolist()
            ]
        )
        ends = self._instant + np.array(
            [self._whole_buckets(r) for r in ramps.max(axis=1)], np.int64
        )
        changes = self._courses.moved(levers, values, ends)
        rows = build_features_many(self.model.plan, self._courses.history, ends, changes)
        matrix = self.model.estimator.columns.matrix(rows)
        quality = [
            i
            for i, c in enumerate(self.model.plan.layout)
            if c.kind == "variable" and c.aggregation in ("missing", "age")
        ]
        matrix[:, quality] = self.base[quality]
        for k, lever in enumerate(levers):
            if lever.levels:
                matrix[:, self.model.plan.columns.index(f"{lever.name}.last")] = values[:, k]
        return matrix

    def _whole_buckets(self, span: float) -> int:
        bucket = self.model.plan.bucket_ms
        return int(-(-span // bucket)) * bucket

    def _plausible(self, columns: Ints, features: Floats) -> BoolArray:
        """Return a mask of the rows in which no column is farther outside of its range than now; a
        smaller spread is fine."""
        good = np.ones(len(features), np.bool_)
        for k, i in enumerate(columns.tolist()):
            column = self.model.plan.layout[i]
            bounds = self.model.ranges.get(column.name)
            if bounds is None:
                continue
            low, high = bounds
            if column.aggregation in ("std", "slope"):
                low, high = min(low, -abs(high)), max(high, abs(low))
            slack = SLACK * (high - low)
            now = _outside(self.base[[i]], low - slack, high + slack)[0]
            good &= _outside(features[:, k], low - slack, high + slack) <= now
        return np.asarray(good, np.bool_)

    def _normal_columns(self, normal: NormalSample) -> list[int]:
        position = {name: i for i, name in enumerate(self.model.plan.columns)}
        return [position[name] for name in normal.columns]


def base_row(model: TrainedModel, history: History, instant: int) -> Floats:
    """Return the matrix row of an instant as it is."""
    rows = build_features(model.plan, history, np.array([instant], np.int64))
    return np.asarray(model.estimator.columns.matrix(rows)[0], np.float64)


def _values(lever: Lever) -> Floats:
    """Return the settings and the values that result if they are missed, increasing, nearly equal
    values once."""
    settings = np.array(lever.settings)
    missed = [np.clip(settings + off, lever.low, lever.high) for off in lever.misses]
    return np.unique(np.round(np.concatenate([settings, *missed]), 9))


def _outside(values: Floats, low: float, high: float) -> Floats:
    """Return the distance of values outside of a range; 0 inside, and for missing values."""
    return np.asarray(np.nan_to_num(np.maximum(np.maximum(low - values, values - high), 0.0)))
