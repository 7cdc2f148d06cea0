"""Readings, feature rows and scores of one asset, kept while models are evaluated on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from alerting.deferred import pd
    from alerting.kinds.protocol.model_scores import ModelKey, ModelScores
    from alerting.learning.features.plan import FeaturePlan
    from alerting.learning.models.trained import Floats
    from alerting.readings.history import History

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
    """Readings that the last evaluation on an asset has read: of some variables after `start`,
    `size` values, perhaps with events. The next one begins there or later."""

    start: datetime
    names: frozenset[str]
    size: int
    with_events: bool

    def with_another(self, other: ReadSpan) -> ReadSpan:
        """Return what was read with another request."""
        return ReadSpan(
            min(self.start, other.start),
            self.names | other.names,
            max(self.size, other.size),
            self.with_events or other.with_events,
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


def no_size(value: object) -> int:  # noqa: ARG001
    """Return 0: the number of these values is bounded, not their size."""
    return 0


class Cache(Generic[K, T]):
    """Values by key, of a bounded number and size; emptied before a value that does not fit."""

    def __init__(self, most: int, most_size: int = 0) -> None:
        self._most = most
        self._most_size = most_size
        self._size = 0
        self._values: dict[K, T] = {}

    def get(self, key: K, compute: Callable[[], T], size_of: Callable[[T], int] = no_size) -> T:
        """Return the value of a key, computed if it is not kept."""
        if key not in self._values:
            value = compute()
            self.keep(key, value, size_of(value))
        return self._values[key]

    def find(self, key: K) -> T | None:
        """Return the value of a key, None if it is not kept."""
        return self._values.get(key)

    @property
    def is_empty(self) -> bool:
        """Return whether no value is kept."""
        return not self._values

    def keep(self, key: K, value: T, size: int = 0) -> None:
        """Keep the value of a key."""
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
