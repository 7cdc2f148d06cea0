"""Readings, feature rows and scores of one asset, computed once for all models that are evaluated
on it one after another.

Shared inputs equal, bit for bit, the inputs that each evaluation alone would read and compute. They
are kept only for the newest asset: at most `MOST_VALUES` values each of readings, of parts of
readings (or one larger part), of feature rows and of predicted values, and the last hundred
explanations. A process that evaluates the same assets repeatedly reads the readings of several
assets at once, about `MOST_VALUES` values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from alerting.deferred import np, pd
from alerting.definitions.faults import UserError
from alerting.learning.features.plan import Columns
from alerting.learning.features.point_in_time import (
    build_features,
    build_features_of_assets,
    declares_numbers_alike,
)
from alerting.ports import Readings, WantedHistory
from alerting.readings.history import (
    History,
    Millis,
    events_between,
    from_millis,
    millis,
    to_millis,
)
from alerting.readings.variable_series import CategoryValues, category_values, longest_hold

if TYPE_CHECKING:
    from alerting.definitions.asset_documents import Asset
    from alerting.learning.features.plan import FeaturePlan
    from alerting.learning.models.trained import TrainedModel
    from alerting.readings.history import Floats

MOST_VALUES = 5_000_000
_MOST_PARTS = 16
_MOST = 1_000
K = TypeVar("K")
T = TypeVar("T")
PartKey = tuple[datetime, datetime, frozenset[str], bool]


@dataclass(frozen=True)
class FeatureRows:
    """Rows of features as a frame, and as the matrix that every model of their plan reads."""

    frame: pd.DataFrame
    matrix: Floats


@dataclass(frozen=True)
class ReadSpan:
    """The readings that the last evaluation on an asset read: of some variables after `start`,
    `size` values, perhaps with events. The next evaluation begins at `start` or later."""

    start: datetime
    names: frozenset[str]
    size: int
    with_events: bool

    def with_another(self, another: ReadSpan) -> ReadSpan:
        """Return a span that contains this span and another one."""
        return ReadSpan(
            min(self.start, another.start),
            self.names | another.names,
            max(self.size, another.size),
            self.with_events or another.with_events,
        )


@dataclass(frozen=True)
class LoadedReadings:
    """Readings of (start, end] and some variables, with the events that matter from `start` on if
    `with_events`."""

    start: datetime
    end: datetime
    names: frozenset[str]
    with_events: bool
    history: History

    def covers(
        self, start: datetime, end: datetime, names: frozenset[str], with_events: bool
    ) -> bool:
        has_all = self.names >= names and self.with_events >= with_events
        return has_all and self.start <= start and self.end >= end

    @property
    def rows_per_second(self) -> float:
        return len(self.history.readings) / max((self.end - self.start).total_seconds(), 1.0)


class Cache(Generic[K, T]):
    """Values by key, of a bounded number and size; emptied before a value that does not fit."""

    def __init__(self, most: int, most_size: int = 0) -> None:
        self._most = most
        self._most_size = most_size
        self._size = 0
        self._values: dict[K, T] = {}

    def get(self, key: K, compute: Callable[[], T], size_of: Callable[[T], int] = lambda _: 0) -> T:
        """Return the value of a key; compute it if it is not in the cache."""
        if key not in self._values:
            value = compute()
            self.keep(key, value, size_of(value))
        return self._values[key]

    def find(self, key: K) -> T | None:
        """Return the value of a key; None if it is not in the cache."""
        return self._values.get(key)

    @property
    def is_empty(self) -> bool:
        """Return whether the cache has no value."""
        return not self._values

    def keep(self, key: K, value: T, size: int = 0) -> None:
        """Put the value of a key into the cache."""
        if len(self._values) >= self._most or self._size + size > self._most_size:
            self._values.clear()
            self._size = 0
        self._values[key] = value
        self._size += size


class AssetInputs:
    """Inputs of one asset: loaded readings, parts of them, older values, features, scores, and
    predicted values."""

    def __init__(self, name: str, loaded: LoadedReadings | None = None) -> None:
        self.name = name
        self.loaded = loaded
        self.span: ReadSpan | None = None
        self.may_widen = True
        self.parts: Cache[PartKey, History] = Cache(_MOST_PARTS, MOST_VALUES)
        self.older: Cache[tuple[Any, ...], pd.DataFrame] = Cache(_MOST_PARTS)
        self.rows: Cache[tuple[FeaturePlan, bytes], FeatureRows] = Cache(_MOST, MOST_VALUES)
        self.scores: Cache[tuple[ModelKey, bytes], ModelScores] = Cache(_MOST)
        self.values: Cache[tuple[ModelKey, bytes], Floats] = Cache(_MOST, MOST_VALUES)


ModelKey = tuple[object, ...]


@dataclass(frozen=True)
class ModelScores:
    """Scores of a model, and, on request, the scores of its twin at instants that its refit scored;
    NaN elsewhere."""

    score: Floats
    twin: Floats

    def split(self, parts: int) -> list[ModelScores]:
        """Return the scores divided into parts of equal length."""
        pieces = zip(np.split(self.score, parts), np.split(self.twin, parts), strict=True)
        return [ModelScores(score, twin) for score, twin in pieces]


def model_key(model: TrainedModel) -> ModelKey:
    """Return a key that identifies a model: its definition, its training, its threshold in force,
    and the hashes of the model and its refit, which were checked when its files were read."""
    trained = (model.definition, model.revision, model.as_of, model.training_cutoff)
    in_force = model.hash, model.threshold
    refit = model.refit
    return (*trained, *in_force, *((refit.hash, refit.training_cutoff) if refit else ()))


def score_matrix(model: TrainedModel, matrix: Floats, at: Millis, with_twins: bool) -> ModelScores:
    """Return the scores of rows of features at these instants."""
    by_refit = np.zeros(len(at), np.bool_)
    if model.refit is not None:
        by_refit = at > to_millis(model.refit.training_cutoff)
    score = np.empty(len(at))
    twin = np.full(len(at), np.nan)
    if len(at) and (with_twins or not by_refit.all()):
        score = np.array(model.score_matrix(matrix), np.float64)
    if model.refit is not None and by_refit.any():
        if with_twins:
            twin[by_refit] = score[by_refit]
        score[by_refit] = model.refit.score_matrix(matrix[by_refit])
    return ModelScores(score, twin)


_MOST_EXPLAINED = 100
_MOMENT = timedelta(milliseconds=1)


class SharedInputs:
    """Inputs of evaluations on one asset after another.

    `spans`: by asset, what earlier evaluations have read; this object updates it. `with_twins`:
    whether twins also score where their refits score.
    """

    def __init__(
        self,
        readings: Readings,
        spans: dict[str, ReadSpan] | None = None,
        with_twins: bool = True,
    ) -> None:
        self._readings = readings
        self._with_twins = with_twins
        self._spans = {} if spans is None else spans
        self._coming: dict[str, Asset] = {}
        self._until: datetime | None = None
        self._are_alike = False
        self._fetched: dict[str, AssetInputs] = {}
        self._inputs = AssetInputs("")
        self._explained: Cache[tuple[Any, ...], Any] = Cache(_MOST_EXPLAINED)

    def expect(self, assets: Iterable[Asset], until: datetime, are_alike: bool = False) -> None:
        """Prepare for evaluations on these assets, in this order, of instants up to `until`: spans
        that the last evaluations read are read for several assets at once.

        `are_alike`: the same models evaluate them at the same instant, so that feature rows and
        scores are also computed for several assets at once.
        """
        self._coming = {asset.name: asset for asset in assets if asset.name in self._spans}
        self._until = until
        self._are_alike = are_alike

    def _inputs_for(self, asset: Asset) -> AssetInputs:
        """Return the inputs of an asset; those of the previous asset are dropped."""
        if asset.name != self._inputs.name:
            if asset.name in self._coming and self._until is not None:
                self._fetch(asset.name, self._until)
            self._inputs = self._fetched.pop(asset.name, AssetInputs(asset.name))
        return self._inputs

    def _fetch(self, name: str, until: datetime) -> None:
        """Read the readings of this asset and of the next ones, up to `MOST_VALUES` values."""
        names = list(self._coming)
        chosen: dict[str, ReadSpan] = {}
        values = 0
        for asset_name in names[names.index(name) :]:
            values += self._spans[asset_name].size
            if chosen and values > MOST_VALUES:
                break
            chosen[asset_name] = self._spans[asset_name]
        starts = _common_starts(chosen, until)
        histories = self._readings.load_histories(
            [
                _request(
                    self._coming[asset_name],
                    starts[asset_name],
                    until,
                    span.names,
                    span.with_events,
                )
                for asset_name, span in chosen.items()
            ]
        )
        self._fetched = {
            asset_name: AssetInputs(
                asset_name,
                LoadedReadings(
                    starts[asset_name],
                    until,
                    chosen[asset_name].names,
                    chosen[asset_name].with_events,
                    history,
                ),
            )
            for asset_name, history in histories.items()
        }
        for asset_name in names[: names.index(name)] + list(chosen):
            del self._coming[asset_name]

    def load(
        self,
        asset: Asset,
        start: datetime,
        end: datetime,
        variables: Iterable[str],
        with_events: bool = True,
    ) -> History:
        """Return readings of (start, end] and the events that matter from `start` on, as
        `Readings.load` does. Without `with_events` events may be missing.

        The first request loads what it needs; a later request for more loads the union of both, if
        that fits into `MOST_VALUES`. Raises UserError if a stored value of these variables is not
        of its variable's type; values of other variables do not matter.
        """
        inputs = self._inputs_for(asset)
        key = start, end, frozenset(variables), with_events

        def compute() -> History:
            loaded = inputs.loaded
            if loaded is None or not loaded.covers(*key):
                loaded = self._load(inputs, asset, *key)
            self._note(inputs, ReadSpan(start, key[2], loaded.history.readings.size, with_events))
            return _part(loaded, start, end, key[2])

        return inputs.parts.get(key, compute, lambda part: part.readings.size)

    def _note(self, inputs: AssetInputs, read: ReadSpan) -> None:
        """Record what was read for an asset, for the next evaluations."""
        span = inputs.span
        wider = read if span is None else span.with_another(read)
        inputs.span = wider
        self._spans[inputs.name] = wider

    def _load(
        self,
        inputs: AssetInputs,
        asset: Asset,
        start: datetime,
        end: datetime,
        names: frozenset[str],
        with_events: bool,
    ) -> LoadedReadings:
        before = inputs.loaded
        if before is not None and inputs.may_widen:
            wide = (
                min(start, before.start),
                max(end, before.end),
                names | before.names,
                with_events or before.with_events,
            )
            seconds = (wide[1] - wide[0]).total_seconds()
            if before.rows_per_second * seconds * len(wide[2]) <= MOST_VALUES:
                try:
                    history = self._readings.load(_request(asset, *wide))
                    return _keep(inputs, LoadedReadings(*wide, history))
                except UserError:  # perhaps of a value that only the others need
                    inputs.may_widen = False
        history = self._readings.load(_request(asset, start, end, names, with_events))
        loaded = LoadedReadings(start, end, names, with_events, history)
        return _keep(inputs, loaded) if before is None else loaded

    def newest_values(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        """Return the newest value of each variable in (since, until], like
        `Readings.newest_values`."""
        key = *sorted(since.items()), until
        return self._inputs_for(asset).older.get(
            key, lambda: self._readings.newest_values(asset, since, until)
        )

    def category(
        self, asset: Asset, name: str, history: History, instants: Sequence[datetime]
    ) -> CategoryValues:
        """Return the values of a category in a history, and its values in force at these instants
        before the history, which increase.

        A value that has exactly the greatest allowed age is in force; because `newest` excludes the
        instant at which its search begins, the search begins a little earlier.
        """
        before = longest_hold(asset, name) + _MOMENT
        older = [self.newest_values(asset, {name: at - before}, at) for at in instants]
        return category_values(asset, name, [*older, history.readings])

    def features(self, plan: FeaturePlan, history: History, at: Millis) -> FeatureRows:
        """Return the feature rows at these instants. A row depends only on the plan and the asset,
        not on the interval that was read."""

        def compute() -> FeatureRows:
            return _rows_of(plan, build_features(plan, history, at))

        if len(at) * len(plan.columns) > MOST_VALUES:
            return compute()
        return self._inputs_for(history.asset).rows.get(
            (plan, at.tobytes()), compute, lambda rows: rows.frame.size
        )

    def score(
        self, model: TrainedModel, history: History, at: Millis
    ) -> tuple[FeatureRows, ModelScores]:
        """Return feature rows and scores: the scores of the refit after its training cutoff, before
        that the scores of the model itself.

        Equal models are scored once.
        """
        key = model_key(model), at.tobytes()
        inputs = self._inputs_for(history.asset)
        if self._are_alike and inputs.scores.find(key) is None:
            # else what was computed of this asset together with others was not what it needs
            self._are_alike = inputs.scores.is_empty
            if self._are_alike:
                self._score_together(model, history, at)
        rows = self.features(model.plan, history, at)
        return rows, inputs.scores.get(
            key, lambda: score_matrix(model, rows.matrix, at, self._with_twins)
        )

    def _score_together(self, model: TrainedModel, history: History, at: Millis) -> None:
        """Compute feature rows and scores at one instant for an asset, and for the expected assets
        that need the same, and put them into the cache."""
        plan = model.plan
        others = self._others_with_same_numbers(plan, history.asset, at)
        if not others:
            return
        histories = [history, *(loaded.history for _, loaded in others)]
        rows = [_rows_of(plan, frame) for frame in build_features_of_assets(plan, histories, at)]
        matrix = np.concatenate([of_asset.matrix for of_asset in rows])
        scores = score_matrix(model, matrix, np.tile(at, len(rows)), self._with_twins)
        of_each = zip(
            [self._inputs_for(history.asset), *(inputs for inputs, _ in others)],
            rows,
            scores.split(len(rows)),
            strict=True,
        )
        for inputs, of_asset, scored in of_each:
            inputs.rows.keep((plan, at.tobytes()), of_asset, of_asset.frame.size)
            inputs.scores.keep((model_key(model), at.tobytes()), scored)

    def _others_with_same_numbers(
        self, plan: FeaturePlan, asset: Asset, at: Millis
    ) -> list[tuple[AssetInputs, LoadedReadings]]:
        """Return the loaded assets whose rows at one instant can be computed together with the row
        of this asset."""
        if len(at) != 1 or not plan.numbers or plan.carried_longer:
            return []
        end = from_millis(int(at[0]))
        needed = end - plan.lookback, end, frozenset(plan.variables), bool(plan.events)
        others = [
            (inputs, inputs.loaded)
            for inputs in self._fetched.values()
            if inputs.loaded is not None
            and inputs.loaded.covers(*needed)
            and declares_numbers_alike(plan, asset, inputs.loaded.history.asset)
        ]
        return others[: MOST_VALUES // len(plan.columns)]

    def predicted_values(
        self, model: TrainedModel, asset: Asset, at: Millis, compute: Callable[[], Floats]
    ) -> Floats:
        """Return the values that `compute` predicts with a model at these instants. Equal models
        predict once."""
        return self._inputs_for(asset).values.get(
            (model_key(model), at.tobytes()), compute, lambda predicted: predicted.size
        )

    def explain(
        self,
        model: TrainedModel,
        history: History,
        at: datetime,
        limits: str,
        compute: Callable[[], T],
    ) -> T:
        """Return the result of `compute` for a model and the readings up to an instant, from the
        cache if it has been computed before.

        `limits`: everything else on which the result depends.
        """
        index = history.readings.index
        columns = tuple(history.readings.columns)
        first = index[0] if len(index) else None
        key = history.asset.name, model_key(model), at, limits, columns, first, len(index)
        return cast(T, self._explained.get(key, compute))


def _rows_of(plan: FeaturePlan, frame: pd.DataFrame) -> FeatureRows:
    return FeatureRows(frame, Columns.from_plan(plan).matrix(frame))


def _common_starts(spans: Mapping[str, ReadSpan], until: datetime) -> dict[str, datetime]:
    """Return, by asset, the start of the readings to read. Assets whose spans differ in length by a
    factor of at most two get the earliest start among them, so that one query reads them."""
    lengths = {name: int((until - span.start).total_seconds()) for name, span in spans.items()}
    starts: dict[int, datetime] = {}
    for name, span in spans.items():
        size = lengths[name].bit_length()
        starts[size] = min(span.start, starts.get(size, span.start))
    return {name: starts[lengths[name].bit_length()] for name in spans}


def _keep(inputs: AssetInputs, loaded: LoadedReadings) -> LoadedReadings:
    if loaded.history.readings.size <= MOST_VALUES:
        inputs.loaded = loaded
    return loaded


def _request(
    asset: Asset, start: datetime, end: datetime, names: frozenset[str], with_events: bool
) -> WantedHistory:
    variables = [name for name in sorted(names) if name in asset.variables]
    return WantedHistory(asset, start, end, variables, start, with_events)


def _part(loaded: LoadedReadings, start: datetime, end: datetime, names: frozenset[str]) -> History:
    """Return the history that a load of this part alone would have returned."""
    history = loaded.history
    if (start, end, names) == (loaded.start, loaded.end, loaded.names):
        return history
    ts = millis(pd.DatetimeIndex(history.readings.index))
    first, last = np.searchsorted(ts, [to_millis(start), to_millis(end)], side="right")
    readings = history.readings.iloc[first:last]
    if names != loaded.names:
        readings = readings[[name for name in history.readings if name in names]]
    return replace(
        history, readings=readings, events=events_between(history, to_millis(start), to_millis(end))
    )
