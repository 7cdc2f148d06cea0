"""Readings and events of one asset, as the pure core uses them.

Conventions: instants are UTC; frames are indexed by `datetime64[ms, UTC]`, strictly increasing.
Numbers and booleans are float64 columns (true is 1.0, missing is NaN), categories are object
columns (missing is None).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, lru_cache

from alerting.deferred import np, pd
from alerting.definitions.assets import Asset, EventType
from alerting.readings.instants import Millis, duration_millis, from_millis, to_millis  # noqa: F401 - by the same name
from alerting.readings.sample_quality import NO_DOUBTS, Doubts

INDEX_DTYPE = "datetime64[ms, UTC]"
EVENT_COLUMNS = ("type", "start", "end")


def no_readings() -> pd.DataFrame:
    """Return an empty frame of readings: no columns, the right index."""
    return pd.DataFrame(index=pd.DatetimeIndex([], dtype=INDEX_DTYPE, name="ts"))


def no_events() -> pd.DataFrame:
    """Return an empty frame of events with its columns `type`, `start`, `end`."""
    return _empty_events().copy(deep=False)


@lru_cache(128)  # a prediction takes 8 to 16 % less CPU
def column_index(names: tuple[str, ...]) -> pd.Index:
    """Return an index of column names."""
    return pd.Index(names)


@cache  # a prediction takes 4 to 13 % less CPU
def _empty_events() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "type": pd.Series([], dtype=object),
            "start": pd.Series([], dtype=INDEX_DTYPE),
            "end": pd.Series([], dtype=INDEX_DTYPE),
        }
    )


@dataclass(frozen=True)
class History:
    """Data of one asset over some interval.

    `readings`: one row per instant, one column per variable. `events`: one row per event with
    `type`, `start`, `end` (NaT while a lasting event is ongoing; equal to start for an instant
    one), sorted by start. `doubts`: samples whose quality is not good, perhaps of a longer
    interval; where one is bad, its value is missing in `readings`. `known_until`: the instant (ms)
    of a point-in-time view, None of readings as they are stored.
    """

    asset: Asset
    readings: pd.DataFrame = field(default_factory=no_readings)
    events: pd.DataFrame = field(default_factory=no_events)
    event_types: tuple[EventType, ...] = ()
    doubts: Doubts = NO_DOUBTS
    known_until: int | None = None

    def delay(self, variable: str) -> timedelta:
        """Return the time after which a value of this variable is known."""
        return self.asset.delay(variable)


def event_delays(history: History) -> Millis:
    """Return, for each event, how long (ms) after its start and its end it is known."""
    delays = {t.name: duration_millis(t.delay) for t in history.event_types}
    return np.array([delays.get(name, 0) for name in history.events["type"]], np.int64)


def events_between(history: History, start: int | None, end: int) -> pd.DataFrame:
    """Return the events until `end` (ms); of those until `start` only the last of each type, and
    lasting ones that go on after it."""
    events = history.events
    if not len(events):
        return events
    starts = millis(events["start"])
    if start is None:
        return events[starts <= end].reset_index(drop=True)
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


def with_older(history: History, older: pd.DataFrame) -> History:
    """Return the history with older readings before it; columns that they lack are missing."""
    if older.empty:
        return history
    columns = {
        name: older[name]
        if name in older
        else pd.Series(None if column.dtype == object else np.nan, older.index, column.dtype)
        for name, column in history.readings.items()
    }
    return replace(
        history, readings=pd.concat([pd.DataFrame(columns, index=older.index), history.readings])
    )


def millis(index: pd.Index | pd.Series) -> Millis:
    """Return instants as int64 milliseconds since 1970 (NaT is the smallest int64)."""
    instants = index if isinstance(index, pd.DatetimeIndex) else pd.DatetimeIndex(index)
    if instants.unit == "ms":
        return np.array(instants.asi8)
    return np.asarray(instants.as_unit("ms").asi8)
