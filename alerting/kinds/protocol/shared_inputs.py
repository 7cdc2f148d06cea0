"""Readings, feature rows and scores of one asset, computed once for all models that are evaluated
on it one after another.

What is shared equals, bit for bit, what each evaluation would read and compute alone. Only the
newest asset's is kept: at most `MOST_VALUES` values of readings, as many of parts of them (or one
larger part), and as many of feature rows; of explanations the last hundred.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast
from weakref import ref

import numpy as np
import pandas as pd

from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError
from alerting.detection.categories import CategoryValues, category_values, longest_hold
from alerting.learning.features.build import build_features
from alerting.learning.features.encoding import Columns
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.models.trained import Floats, TrainedModel
from alerting.ports import Readings
from alerting.readings.history import History, Millis, millis, to_millis

MOST_VALUES = 5_000_000
_MOST_PARTS = 16
_MOST_SCORES = 1_000
_MOST_EXPLAINED = 100
_FEW_ROWS = 64
_MOMENT = timedelta(milliseconds=1)
T = TypeVar("T")


@dataclass(frozen=True)
class FeatureRows:
    """Rows of features as a frame, and as the matrix that every model of their plan reads."""

    frame: pd.DataFrame
    matrix: Floats


@dataclass(frozen=True)
class Scored:
    """Scores of a model, and those of its twin where its refit scored; NaN elsewhere."""

    score: Floats
    twin: Floats


@dataclass(frozen=True)
class _Loaded:
    """Readings of (start, end] and some variables, with the events that matter from `start` on."""

    start: datetime
    end: datetime
    names: frozenset[str]
    history: History

    def covers(self, start: datetime, end: datetime, names: frozenset[str]) -> bool:
        return self.start <= start and self.end >= end and self.names >= names

    @property
    def rows_per_second(self) -> float:
        return len(self.history.readings) / max((self.end - self.start).total_seconds(), 1.0)


class SharedInputs:
    """Inputs of evaluations on one asset after another."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._explained: dict[tuple[Any, ...], tuple[ref[TrainedModel], Any]] = {}
        self._begin("")

    def _begin_with(self, asset: Asset) -> None:
        if asset.name != self._asset:
            self._begin(asset.name)

    def _begin(self, asset: str) -> None:
        """Drop everything of the asset before."""
        self._asset = asset
        self._loaded: _Loaded | None = None
        self._widens = True
        self._parts: dict[tuple[datetime, datetime, frozenset[str]], History] = {}
        self._older: dict[tuple[Any, ...], pd.DataFrame] = {}
        self._rows: dict[tuple[FeaturePlan, bytes], FeatureRows] = {}
        self._scores: dict[tuple[Any, ...], tuple[ref[TrainedModel], Scored]] = {}
        self._part_values = 0
        self._row_values = 0

    def load(
        self, asset: Asset, start: datetime, end: datetime, variables: Iterable[str]
    ) -> History:
        """Return readings of (start, end] and the events that matter from `start` on, as
        `Readings.load` does.

        The first request loads what it needs; one beyond it loads both together, if they fit into
        `MOST_VALUES`. Raises UserError if a stored value of these variables is not of its
        variable's type; those of other variables do not count.
        """
        self._begin_with(asset)
        names = frozenset(variables)
        key = start, end, names
        if key not in self._parts:
            loaded = self._loaded
            if loaded is None or not loaded.covers(*key):
                loaded = self._load(asset, *key)
            part = _part(loaded, *key)
            self._part_values += part.readings.size
            if self._part_values > MOST_VALUES or len(self._parts) >= _MOST_PARTS:
                self._parts.clear()
                self._part_values = part.readings.size
            self._parts[key] = part
        return self._parts[key]

    def _load(self, asset: Asset, start: datetime, end: datetime, names: frozenset[str]) -> _Loaded:
        kept = self._loaded
        if kept is not None and self._widens:
            wide = min(start, kept.start), max(end, kept.end), names | kept.names
            if (
                kept.rows_per_second * (wide[1] - wide[0]).total_seconds() * len(wide[2])
                <= MOST_VALUES
            ):
                try:
                    return self._keep(_read(self._readings, asset, *wide))
                except UserError:  # perhaps of a value that only the others need
                    self._widens = False
        loaded = _read(self._readings, asset, start, end, names)
        return self._keep(loaded) if kept is None else loaded

    def _keep(self, loaded: _Loaded) -> _Loaded:
        if loaded.history.readings.size <= MOST_VALUES:
            self._loaded = loaded
        return loaded

    def newest(self, asset: Asset, since: Mapping[str, datetime], until: datetime) -> pd.DataFrame:
        """Return the newest value of each variable in (since, until], as `Readings.newest` does."""
        self._begin_with(asset)
        key = *sorted(since.items()), until
        if key not in self._older:
            if len(self._older) >= _MOST_PARTS:
                self._older.clear()
            self._older[key] = self._readings.newest(asset, since, until)
        return self._older[key]

    def category(
        self, asset: Asset, name: str, history: History, instants: Sequence[datetime]
    ) -> CategoryValues:
        """Return the values of a category in a history, and those in force at instants before it,
        which are increasing.

        One that is exactly as old as it may be is in force, and `newest` leaves out the instant at
        which its search begins.
        """
        before = longest_hold(asset, name) + _MOMENT
        older = [self.newest(asset, {name: at - before}, at) for at in instants]
        return category_values(asset, name, [*older, history.readings])

    def features(self, plan: FeaturePlan, history: History, at: Millis) -> FeatureRows:
        """Return the feature rows at these instants. A row depends on the plan and the asset alone,
        not on the interval read."""
        self._begin_with(history.asset)
        key = plan, at.tobytes()
        if key not in self._rows:
            frame = build_features(plan, history, at)
            found = FeatureRows(frame, _matrix(plan, frame))
            if found.frame.size > MOST_VALUES:
                return found
            if self._row_values + found.frame.size > MOST_VALUES:
                self._rows.clear()
                self._scores.clear()
                self._row_values = 0
            self._rows[key] = found
            self._row_values += found.frame.size
        return self._rows[key]

    def score(
        self, model: TrainedModel, history: History, at: Millis
    ) -> tuple[FeatureRows, Scored]:
        """Return feature rows and scores: those of the refit after its training cutoff, before it
        those of the model itself.

        Models that were read from equal files score once.
        """
        rows = self.features(model.plan, history, at)
        key = id(model), at.tobytes()
        of, scored = self._scores.get(key, (None, None))
        if of is None or scored is None or of() is not model:  # another model may have had this id
            if len(self._scores) >= _MOST_SCORES:
                self._scores.clear()
            scored = _score(model, rows.matrix, at)
            self._scores[key] = ref(model), scored
        return rows, scored

    def explain(
        self,
        model: TrainedModel,
        history: History,
        at: datetime,
        limits: str,
        compute: Callable[[], T],
    ) -> T:
        """Return what `compute` makes of a model and the readings up to an instant; what it made of
        the same before, if kept.

        `limits`: everything else that it depends on.
        """
        index = history.readings.index
        columns = tuple(history.readings.columns)
        first = index[0] if len(index) else None
        key = history.asset.name, id(model), at, limits, columns, first, len(index)
        of, found = self._explained.get(key, (None, None))
        if of is not None and of() is model:
            return cast(T, found)
        if len(self._explained) >= _MOST_EXPLAINED:
            self._explained.clear()
        explained = compute()
        self._explained[key] = ref(model), explained
        return explained


def _matrix(plan: FeaturePlan, frame: pd.DataFrame) -> Floats:
    """Return the matrix that `Columns` makes of built features; that of a few rows at once, not
    column by column."""
    if len(frame) > _FEW_ROWS or tuple(frame.columns) != plan.columns:
        return Columns.from_plan(plan).matrix(frame)
    numbers = frame.iloc[:, : len(frame.columns) - len(plan.levels)].to_numpy(np.float64)
    codes = [frame[name].cat.codes.to_numpy(np.float64) for name in plan.levels]
    matrix = np.column_stack(
        [
            np.where(np.isfinite(numbers), numbers, np.nan),
            *(np.where(c < 0, np.nan, c) for c in codes),
        ]
    )
    return np.ascontiguousarray(matrix)


def _score(model: TrainedModel, matrix: Floats, at: Millis) -> Scored:
    score = np.empty(0)
    twin = np.full(len(at), np.nan)
    if len(at):
        score = np.array(model.score_matrix(matrix), np.float64)
    if model.refit is not None and (later := at > to_millis(model.refit.training_cutoff)).any():
        twin[later] = score[later]
        score[later] = model.refit.score_matrix(matrix[later])
    return Scored(score, twin)


def _read(
    readings: Readings, asset: Asset, start: datetime, end: datetime, names: frozenset[str]
) -> _Loaded:
    wanted = [name for name in asset.variables if name in names]
    return _Loaded(start, end, names, readings.load(asset, start, end, wanted, events_since=start))


def _part(loaded: _Loaded, start: datetime, end: datetime, names: frozenset[str]) -> History:
    """Return the history that a load of this part alone would have returned."""
    history = loaded.history
    if (start, end, names) == (loaded.start, loaded.end, loaded.names):
        return history
    ts = millis(pd.DatetimeIndex(history.readings.index))
    first, last = np.searchsorted(ts, [to_millis(start), to_millis(end)], side="right")
    readings = history.readings.iloc[first:last][
        [name for name in history.readings if name in names]
    ]
    return replace(
        history, readings=readings, events=_events(history, to_millis(start), to_millis(end))
    )


def _events(history: History, start: int, end: int) -> pd.DataFrame:
    """Return the events until `end`; of those until `start` only the last of each type, and lasting
    ones that go on after it."""
    events = history.events
    starts = millis(events["start"])
    ends = millis(events["end"])
    is_instant = (
        events["type"]
        .isin([type_.name for type_ in history.event_types if type_.duration == "instant"])
        .to_numpy()
    )
    is_old = starts <= start
    is_last = ~events["type"].where(is_old).duplicated(keep="last").to_numpy()
    goes_on = ~is_instant & (events["end"].isna().to_numpy() | (ends > start))
    return events[(starts <= end) & (~is_old | is_last | goes_on)].reset_index(drop=True)
