"""An asset at one instant as a model sees it, with other settings: rows and risks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from alerting.learning.features.build import build_features, build_features_many
from alerting.learning.models.normal import NormalSample
from alerting.learning.models.trained import TrainedModel
from alerting.readings.history import History, duration_millis
from alerting.recommendation.courses import Courses, hold
from alerting.recommendation.levers import SLACK, Lever, followers

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Grid:
    """The values of one lever, increasing: settings, and where the line ends if missed.

    `features`: the model's columns in `columns` that follow from each value alone. `settings`:
    positions of the allowed settings that are plausible by themselves. `misses`: positions of what
    each value becomes if missed (values x misses).
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
    """The what-ifs of one instant. `scorings` counts the rows that the model has scored."""

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
                for lever, each in zip(levers, values, strict=True)
                for v in each.tolist()
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
        self.grids = [self._grid(lever, each) for lever, each in zip(levers, values, strict=True)]

    def rows(self, members: Sequence[int], at: Ints) -> Floats:
        """Return the matrix of combinations: positions in the grids of some levers."""
        grids = [self.grids[i] for i in members]
        if not self.is_glued(members):
            return self._built(
                [g.lever for g in grids],
                np.column_stack([g.values[at[:, k]] for k, g in enumerate(grids)]),
            )
        matrix = np.repeat(self.base[None, :], len(at), axis=0)
        for k, grid in enumerate(grids):
            matrix[:, grid.columns] = grid.features[at[:, k]]
        return matrix

    def is_glued(self, members: Sequence[int]) -> bool:
        """Return whether the levers' columns can be computed for each alone and combined."""
        columns = [set(self.grids[i].columns.tolist()) for i in members]
        return sum(map(len, columns)) == len(set().union(*columns))

    def risk(self, matrix: Floats) -> Floats:
        """Return the risk of each row."""
        self.scorings += len(matrix)
        return self.model.calibration.probability(self.model.estimator.margin_of(matrix))

    def distance(self, matrix: Floats) -> Floats:
        """Return how far each row is from normal operation; 0 where the model does not know it."""
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
            self._built([lever], values[:, None])[:, columns]
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

    def _built(self, levers: Sequence[Lever], values: Floats) -> Floats:
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
        """Return where no column is farther outside of its range than now; less spread is fine."""
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
    """Return a lever's settings and their misses, increasing; nearly equal ones once."""
    settings = np.array(lever.settings)
    missed = [np.clip(settings + off, lever.low, lever.high) for off in lever.misses]
    return np.unique(np.round(np.concatenate([settings, *missed]), 9))


def _outside(values: Floats, low: float, high: float) -> Floats:
    """Return the distance of values outside of a range; 0 inside, and for missing values."""
    return np.asarray(np.nan_to_num(np.maximum(np.maximum(low - values, values - high), 0.0)))
