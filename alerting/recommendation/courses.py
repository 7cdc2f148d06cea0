"""Courses of variables in a what-if: a moved lever, and the variables that follow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.assets import Relation
from alerting.learning.features.plan import FeaturePlan
from alerting.readings.computed import with_computed
from alerting.readings.history import History, Millis, duration_millis, millis
from alerting.recommendation.levers import MOST_ROWS, Lever, following, known_instants, usual_step

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Courses:
    """An asset's readings up to an instant, after it held, in which levers are moved.

    `interval_ms`: length of the interval before the end in which a setting without a ramp applies.
    """

    history: History
    instant: int
    interval_ms: int

    def moved(
        self, levers: Sequence[Lever], values: Floats, ends: Millis
    ) -> list[dict[str, Floats]]:
        """Return, for each what-if, the values of every variable that differs, one per reading.

        `values`: settings (what-ifs x levers); `ends`: the instant of each what-if. A category is
        left out: it has no course.
        """
        numbers = [(lever, values[:, i]) for i, lever in enumerate(levers) if not lever.levels]
        courses = {lever.name: self._course(lever, to, ends) for lever, to in numbers}
        deltas = {name: self._delta(name, course, ends) for name, course in courses.items()}
        for relation in following(self.history.asset, *courses):
            drivers = [deltas.get(name, np.zeros((1, len(self._ts)))) for name in relation.drivers]
            deltas[relation.variable] = self._follow(relation, drivers)
            if self._is_number(relation.variable):
                courses[relation.variable] = (
                    self._own(relation.variable) + deltas[relation.variable]
                )
        each = [{name: course[k] for name, course in courses.items()} for k in range(len(values))]
        names = [
            name
            for name in self.history.asset.computed_of(courses)
            if name in self.history.readings
        ]
        before = with_computed(self.history, names).readings
        return [moved | self._computed(names, moved, before) for moved in each] if names else each

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
        there = ~np.isnan(present[0]) & (known_at <= ends[:, None])
        recent = there & (known_at > ends[:, None] - self.interval_ms)
        newest = there & (
            np.arange(len(known_at))
            == np.where(there, np.arange(len(known_at)), -1).max(axis=1)[:, None]
        )
        applies = np.where(recent.any(axis=1)[:, None], recent, newest)
        return np.where(applies, to[:, None], present)

    def _delta(self, name: str, course: Floats, ends: Millis) -> Floats:
        """Return how far a variable in force differs from before, at each reading."""
        held = _carry(self._own(name)[None, :])
        within = self._ts[None, :] > np.minimum(ends - self.interval_ms, self.instant)[:, None]
        return np.where(within, np.nan_to_num(_carry(course) - held), 0.0)

    def _follow(self, relation: Relation, drivers: Sequence[Floats]) -> Floats:
        """Return a follower's change: at once, or as an exact first-order lag."""
        change = relation.gain * (drivers[0] if len(drivers) == 1 else drivers[0] - drivers[1])
        if relation.time_constant is None:
            return np.asarray(change)
        kept = np.exp(-np.diff(self._ts) / duration_millis(relation.time_constant))
        lagged = np.zeros_like(change)
        first = int(change.any(axis=0).argmax())
        for i in range(first + 1, change.shape[1]):
            lagged[:, i] = change[:, i - 1] + (lagged[:, i - 1] - change[:, i - 1]) * kept[i - 1]
        return lagged

    def _is_number(self, name: str) -> bool:
        return name in self.history.readings and pd.api.types.is_numeric_dtype(
            self.history.readings[name].dtype
        )

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
    """Return the history with every variable held until an instant, at its usual sampling.

    A variable without a usual sampling is carried forward as it is. Those in `always` have a value
    at every added reading.
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
