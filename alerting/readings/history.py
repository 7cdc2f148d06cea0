"""Instants in milliseconds, the quality of samples, and readings and events of one asset, as the
pure core uses them; histories larger than memory, read piece by piece; and the values of computed
variables, as a pure function of the readings of their parts.

Conventions: instants are UTC; frames are indexed by `datetime64[ms, UTC]`, strictly increasing.
Numbers and booleans are float64 columns (true is 1.0, missing is NaN), categories are object
columns (missing is None).

A computed variable has a value at each instant at which one of its parts has a reading. Every part
contributes its last reading, if that is at most `within` old and sound: neither of bad quality nor
outside of its engineering range. Nothing is interpolated and there is no grid, so the value at an
instant depends only on the readings of a bounded time before it, however the time is cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from itertools import pairwise
from typing import Literal, TypeAlias, cast

from alerting.deferred import np, npt, pd
from alerting.definitions.asset_documents import LAG_LENGTHS, Asset, Computed, EventType
from alerting.definitions.faults import shown
from alerting.readings.rates import Counter, rates_of_change

Quality = Literal["uncertain", "bad"]
Grade = Literal["good", "uncertain", "bad"]
Codes = Literal["opc-ua", "opc-da", "siemens", "flag"]
Millis: TypeAlias = "npt.NDArray[np.int64]"
_WORD = re.compile(r"(good|uncertain|bad)(?![a-z])", re.IGNORECASE)
_CAMEL = re.compile(r"(Good|Uncertain|Bad)[A-Z]")
_FURTHER_GRADES: Mapping[str, Grade] = {
    **dict.fromkeys(("ok", "valid", "gut", "gültig"), "good"),
    **dict.fromkeys(("suspect", "questionable", "doubtful", "fraglich"), "uncertain"),
    **dict.fromkeys(("invalid", "ungültig", "schlecht", "err", "error", "ofl", "ufl"), "bad"),
}
_NUMBER = re.compile(r"-?\d{1,10}|0[xX][0-9a-fA-F]{1,8}")
_SHORT = 1 << 16
_STATUS = 1 << 32
_DA_GRADES: Mapping[int, Grade] = {
    **dict.fromkeys(range(0, 32, 4), "bad"),
    **dict.fromkeys((64, 68, 80, 84, 88), "uncertain"),
    **dict.fromkeys((192, 216), "good"),
}
_SMALL_GRADES: Mapping[str, Mapping[str, Grade]] = {
    "siemens": {"0": "bad", "1": "uncertain", "2": "good", "3": "good"},
    "flag": {"0": "bad", "1": "good", "false": "bad", "true": "good"},
}
INDEX_DTYPE = "datetime64[ms, UTC]"
EVENT_COLUMNS = ("type", "start", "end")
NO_TIME = -(2**63)  # no instant, in a column of instants
FIRST_INSTANT = datetime(1900, 1, 1, tzinfo=UTC)
LAST_INSTANT = datetime(2200, 1, 1, tzinfo=UTC)
"""Bounds of readings and events, the first one included: other stamps come of a wrong clock, or are
null dates."""
FAR_FUTURE = 2**61  # ms, later than any instant; a float holds it exactly
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
Floats: TypeAlias = "npt.NDArray[np.float64]"
BoolArray: TypeAlias = "npt.NDArray[np.bool_]"
Positions: TypeAlias = "npt.NDArray[np.int64]"
"""Positions of rows or columns in an array, or counts of them."""
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS


@cache
def no_instants() -> Millis:
    """Return no instants: an array of length 0."""
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Doubts:
    """Instants (ms) of samples whose quality is not good, by variable with any."""

    bad: Mapping[str, Millis] = field(default_factory=dict)
    uncertain: Mapping[str, Millis] = field(default_factory=dict)


NO_DOUBTS = Doubts()


def join_instants(parts: Sequence[Mapping[str, Millis]]) -> dict[str, Millis]:
    """Return the instants of several parts by variable, increasing."""
    return {
        name: np.unique(np.concatenate([part[name] for part in parts if name in part]))
        for name in sorted({name for part in parts for name in part})
    }


def find_members(ts: Millis, instants: Millis) -> npt.NDArray[np.bool_]:
    """Return a mask of the instants that are in another, increasing list of instants."""
    if not len(instants):
        return np.zeros(len(ts), np.bool_)
    position = np.minimum(np.searchsorted(instants, ts), len(instants) - 1)
    is_member: npt.NDArray[np.bool_] = instants[position] == ts
    return is_member


def grade(text: str, codes: Codes | None = None) -> Grade | None:
    """Return the quality of a text; None for any other text.

    Also None for a number that may be a code of OPC UA and of OPC DA, unless `codes` names the
    kind.

    It understands the words good, uncertain and bad, and some like them; names of OPC UA status
    codes (BadSensorFailure, Bad_SensorFailure) and these codes as numbers (0x808C0000, 2156658688),
    by their two highest bits (OPC UA part 4, StatusCode); and the quality of OPC DA (192, 64, 0 and
    the additions of its lower bits; OPC DA 3.0, 6.8). Kinds of code that must be named: siemens
    (qc of Industrial Edge) and flag (1 or true is good).
    """
    word = _WORD.match(text.replace("_", " ")) or _CAMEL.match(text)
    if word:
        return cast(Grade, word[1].lower())
    if codes is not None and codes in _SMALL_GRADES:
        return _SMALL_GRADES[codes].get(text.lower())
    if text.casefold() in _FURTHER_GRADES:
        return _FURTHER_GRADES[text.casefold()]
    kind = codes or _kind(text)
    if kind is None or not _NUMBER.fullmatch(text):
        return None
    number = _as_number(text)
    if kind == "opc-ua":
        return _status(number)
    return _DA_GRADES.get(number & 0xFC) if 0 <= number < _SHORT else None


def doubtful_texts(counts: Mapping[str, int]) -> str:
    """Return, as text for people, which of these texts are words for a quality that is not good;
    empty if any is none, or all are good."""
    grades = {text: None if _NUMBER.fullmatch(text) else grade(text) for text in counts}
    texts = [f"{text} {counts[text]:,}" for text, meant in grades.items() if meant != "good"]
    return ", ".join(texts) if all(grades.values()) else ""


def why_no_quality(
    text: str, codes: Codes | None, written: str | None = None, option: str = "--quality-codes"
) -> str:
    """Return, in plain words, why a text is no quality. `written`: it for the sentence, if that is
    not the text in quotation marks. `option`: with what people choose the codes."""
    written = written or shown(text)
    if codes is None and _NUMBER.fullmatch(text) and _kind(text) is None:
        zero = " (0 is good there and bad here)" if text == "0" else ""
        return (
            f"{written} may be a status code of OPC UA or a quality of OPC DA{zero}: choose one "
            f"with {option}"
        )
    return (
        f"{written} is not a quality: write good, uncertain or bad, a status code of OPC UA, or "
        "192, 64 or 0 of OPC DA"
    )


def _kind(text: str) -> Codes | None:
    """Return the only kind of code that a number can be; None where both are possible."""
    if not _NUMBER.fullmatch(text):
        return None
    number = _as_number(text)
    if not 0 <= number < _SHORT or (text[1:2] in ("x", "X") and len(text) == len("0x00000000")):
        return "opc-ua"
    return "opc-da" if 4 <= number < 256 else None


def _as_number(text: str) -> int:
    return int(text, 16 if text[1:2] in ("x", "X") else 10)


def _status(number: int) -> Grade | None:
    """Return the quality by the highest two of 32 bits, also of a negative number."""
    if not -_STATUS // 2 <= number < _STATUS:
        return None
    grades: tuple[Grade, ...] = ("good", "uncertain", "bad", "bad")
    return grades[number % _STATUS * 4 // _STATUS]


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
    one), sorted by start. `doubts`: samples whose quality is not good, perhaps from a longer
    interval; the value of a bad sample is missing in `readings`. `known_until`: the instant (ms) of
    a point-in-time view, None for readings as they are stored.
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
    """Return, for each event, how long (ms) after its start the start is known, and after its end
    the end."""
    delays = {t.name: duration_millis(t.delay) for t in history.event_types}
    return np.array([delays.get(name, 0) for name in history.events["type"]], np.int64)


def events_between(history: History, start: int | None, end: int) -> pd.DataFrame:
    """Return the events that start by `end` (ms); of those that start by `start`, only the last one
    of each type, and lasting events that go on after it."""
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
    """Return the history with older readings put before it; columns that these lack are missing
    there."""
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


def whole_millis(instant: datetime) -> datetime:
    """Return an instant in UTC, whole milliseconds. Raises ValueError without a zone."""
    if instant.tzinfo is None:
        raise ValueError(f"the instant {instant.isoformat()} has no time zone")
    if instant.tzinfo is UTC and instant.microsecond % 1000 == 0:
        return instant
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000).astimezone(UTC)


def to_millis(instant: datetime) -> int:
    """Return one aware instant as whole milliseconds since 1970, rounded down."""
    return (instant - _EPOCH) // _MILLISECOND


def millis_of(instants: Sequence[datetime]) -> Millis:
    """Return instants as milliseconds since 1970, all aware, or all in UTC without zone."""
    epoch = _EPOCH if instants and instants[0].tzinfo else _EPOCH.replace(tzinfo=None)
    return np.array([(instant - epoch) // _MILLISECOND for instant in instants], np.int64)


def from_millis(value: int) -> datetime:
    """Return the aware UTC instant of milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=int(value))


def datetimes(at: Millis) -> list[datetime]:
    """Return the aware UTC instants of milliseconds since 1970."""
    return [naive.replace(tzinfo=UTC) for naive in at.view("datetime64[ms]").astype(object)]


def month_of(instant: datetime) -> str:
    """Return the month of an instant in UTC, e.g. 2026-01."""
    return instant.astimezone(UTC).strftime("%Y-%m")


def month_interval(month: str) -> tuple[datetime, datetime]:
    """Return the first instant of a month (`2026-01`) and that of the next one, in UTC."""
    start = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    return start, (start + timedelta(days=31)).replace(day=1)


def duration_millis(value: timedelta) -> int:
    """Return a duration in whole milliseconds."""
    return value // _MILLISECOND


# No sensor measures more: 1e30, 9.9E+37 and the largest floats mean no value. Its fourth power is a
# float.
MOST_MEASURED = 9.99e29


def engineering_range(asset: Asset, variable: str) -> tuple[float, float]:
    """Return the least and greatest possible value of a number; ±MOST_MEASURED if not stated."""
    declared = asset.variables.get(variable)
    low = None if declared is None else declared.low
    high = None if declared is None else declared.high
    return (
        -MOST_MEASURED if low is None else max(low, -MOST_MEASURED),
        MOST_MEASURED if high is None else min(high, MOST_MEASURED),
    )


def is_outside_range(asset: Asset, variable: str, values: Floats) -> BoolArray:
    """Return, for each value, whether it is outside the range of a number; a missing one is not."""
    low, high = engineering_range(asset, variable)
    return (values < low) | (values > high)


def in_range(asset: Asset, variable: str, values: Floats) -> Floats:
    """Return each value, NaN where it lies outside the variable's engineering range."""
    wrong = is_outside_range(asset, variable, values)
    return np.where(wrong, np.nan, values) if wrong.any() else values


def has_data(history: History, variable: str) -> BoolArray:
    """Return a mask of the rows at which a variable has a value: finite and within its range."""
    if variable not in history.readings:
        return np.zeros(len(history.readings), np.bool_)
    column = history.readings[variable]
    if not np.issubdtype(column.to_numpy().dtype, np.number):
        return column.notna().to_numpy(np.bool_)
    values = column.to_numpy(np.float64)
    has_value: BoolArray = np.isfinite(values) & ~is_outside_range(history.asset, variable, values)
    return has_value


_EVER = (-(2**63), 2**63 - 1)


@dataclass(frozen=True)
class LongHistory:
    """Data of one asset over some interval, larger than memory. `head`: the history without
    readings; `variables`: variables with readings.

    `ends`: the last instant (ms) of each piece, increasing; a piece has at most some 100,000
    readings.
    """

    head: History
    variables: tuple[str, ...]
    ends: Sequence[int]
    # variables with start < ts <= end (ms), as a frame with the conventions of `History`
    read: Callable[[Sequence[str], int, int], pd.DataFrame]

    @property
    def asset(self) -> Asset:
        """Return the asset."""
        return self.head.asset

    def load_interval(self, start: int, end: int, names: Sequence[str] | None = None) -> History:
        """Return the history with readings, start < ts <= end (ms), of these variables."""
        present = [name for name in self.variables if names is None or name in names]
        return replace(self.head, readings=self.read(present, start, end))

    def load_all(self, names: Sequence[str] | None = None) -> History:
        """Return the history with all readings of these variables, which must be few."""
        return self.load_interval(*_EVER, names)

    def pieces(self, names: Sequence[str] | None = None) -> Iterator[History]:
        """Yield the history piece by piece, with the readings of these variables."""
        yield from (
            self.load_interval(start, end, names) for start, end in pairwise([_EVER[0], *self.ends])
        )


def split_instants(history: LongHistory, at: Millis, least: int) -> Iterator[slice]:
    """Divide increasing instants (ms) into slices of a few pieces each, at least `least` ms
    long."""
    first = 0
    for end in history.ends:
        last = int(np.searchsorted(at, end, side="right"))
        if last > first and end - int(at[first]) >= least:
            yield slice(first, last)
            first = last
    if first < len(at):
        yield slice(first, len(at))


# Reads stored variables after an instant, None from the first one on: a frame with the conventions
# of `History`, and doubts.
ReadStored: TypeAlias = "Callable[[Sequence[str], datetime | None], tuple[pd.DataFrame, Doubts]]"
_AT_ONCE = 2_000_000  # weights of readings of a lag in memory at once


@dataclass(frozen=True)
class _Part:
    """Readings of a part: `value` is NaN where it is not sound, `is_bad` marks bad quality."""

    ts: Millis
    value: Floats
    is_bad: BoolArray


def read_computed(
    asset: Asset, names: Iterable[str], start: datetime | None, read: ReadStored
) -> tuple[pd.DataFrame, Doubts]:
    """Return the readings after an instant, one row per instant, with computed variables computed
    from the readings that `read` returns."""
    variables = list(names)
    needed = asset.with_parts(variables)
    computed = [name for name in needed if asset.is_computed(name)]
    if not computed:
        return read(variables, start)
    stored = [name for name in needed if name not in computed]
    frame, doubts = read(stored, None if start is None else start - lookback(asset, variables))
    history = with_computed(History(asset, frame, doubts=doubts), computed)
    readings = (
        history.readings if start is None else history.readings.loc[history.readings.index > start]
    )
    bad = {name: ts for name, ts in history.doubts.bad.items() if name in variables}
    uncertain = {name: ts for name, ts in history.doubts.uncertain.items() if name in variables}
    return readings[variables], Doubts(bad, uncertain)


def lookback(asset: Asset, names: Iterable[str]) -> timedelta:
    """Return how far before an instant readings may decide the values of these variables."""
    by_name: dict[str, timedelta] = {}
    for name in asset.with_parts(names):
        computed = asset.variables[name].computed if name in asset.variables else None
        by_name[name] = (
            timedelta(0)
            if computed is None
            else computed.lookback + max(by_name[part] for part in computed.drivers)
        )
    return max(by_name.values(), default=timedelta(0))


def with_computed(history: History, names: Sequence[str]) -> History:
    """Return a history with these computed variables, computed from its columns."""
    readings = history.readings
    doubts = history.doubts
    bad = dict(doubts.bad)
    uncertain = dict(doubts.uncertain)
    ts = millis(pd.DatetimeIndex(readings.index))
    columns = {str(name): readings[name] for name in readings}
    for name in names:
        computed = history.asset.variables[name].computed
        if computed is None:
            continue
        parts = [_part(history.asset, part, ts, columns, bad) for part in computed.drivers]
        driver = history.asset.variables.get(computed.of)
        counter = Counter(driver.rolls_over_at) if driver is not None and driver.counter else None
        values, is_bad = compute(computed, ts, parts, counter)
        columns[name] = pd.Series(values, readings.index)
        if is_bad.any():
            bad[name] = ts[is_bad]
        doubtful = [uncertain[part] for part in computed.drivers if part in uncertain]
        if doubtful:
            uncertain[name] = np.unique(np.concatenate(doubtful))
    return replace(
        history, readings=pd.DataFrame(columns, readings.index), doubts=Doubts(bad, uncertain)
    )


def compute(
    computed: Computed, at: Millis, parts: Sequence[_Part], counter: Counter | None = None
) -> tuple[Floats, BoolArray]:
    """Return the value at each instant (ms, increasing), and a mask of the instants without a value
    because a part is of bad quality. `counter`: what `of` is declared as, for a rate.

    The value is NaN where no part has a reading at the instant, where a part has no sound value,
    and for a ratio with denominator 0.
    """
    has_reading = np.logical_or.reduce([find_members(at, part.ts) for part in parts])
    values = np.full(len(at), np.nan)
    is_bad = np.zeros(len(at), np.bool_)
    rows = np.flatnonzero(has_reading)
    in_force = [_in_force(part, at[rows], duration_millis(computed.within)) for part in parts]
    first = in_force[0][0]
    if computed.kind == "rate":
        first = _change_per_hour(parts[0], duration_millis(computed.within), counter)
    elif computed.kind == "lag" and computed.time_constant is not None:
        first = _lagged(parts[0], at[rows], first, duration_millis(computed.time_constant))
    values[rows] = computed.gain * _combine(computed, first, *(value for value, _ in in_force[1:]))
    is_bad[rows] = np.logical_or.reduce([bad for _, bad in in_force])
    return np.where(np.isfinite(values), values, np.nan), is_bad


def _change_per_hour(part: _Part, within: int, counter: Counter | None) -> Floats:
    """Return the change per hour of each reading since the last sound one before it."""
    rates = rates_of_change(part.ts, part.value, np.isfinite(part.value), 1, within, (), counter)
    return np.asarray(rates * 3_600_000)


def _combine(computed: Computed, first: Floats, *others: Floats) -> Floats:
    if computed.kind == "difference":
        return first - others[0]
    if computed.kind == "ratio":
        ratio: Floats = np.divide(
            first, others[0], out=np.full(len(first), np.nan), where=others[0] != 0
        )
        return ratio
    return first


def _part(
    asset: Asset, name: str, ts: Millis, columns: Mapping[str, pd.Series], bad: Mapping[str, Millis]
) -> _Part:
    raw = columns[name].to_numpy(np.float64) if name in columns else np.full(len(ts), np.nan)
    is_bad = find_members(ts, bad.get(name, no_instants()))
    present = ~np.isnan(raw) | is_bad
    sound = in_range(asset, name, raw[present])
    return _Part(ts[present], np.where(np.isfinite(sound), sound, np.nan), is_bad[present])


def _in_force(part: _Part, at: Millis, within: int) -> tuple[Floats, BoolArray]:
    """Return the last value at each instant, NaN unless recent and sound, and a mask of the
    instants at which it is bad."""
    newest = np.searchsorted(part.ts, at, side="right") - 1
    recent = newest >= 0
    recent[recent] = at[recent] - part.ts[newest[recent]] <= within
    newest = np.where(recent, newest, len(part.ts))
    return np.append(part.value, np.nan)[newest], np.append(part.is_bad, False)[newest]


def _lagged(part: _Part, at: Millis, present: Floats, time_constant: int) -> Floats:
    """Return the values of a part behind a first-order lag, from its readings of `LAG_LENGTHS` time
    constants (ms) alone.

    A reading is carried forward until the next one, and its weight decays exponentially with the
    time since. NaN where the present value is NaN.
    """
    first = np.searchsorted(part.ts, at - LAG_LENGTHS * time_constant, side="right")
    last = np.searchsorted(part.ts, at, side="right")
    values = present.copy()
    bounds = np.flatnonzero(np.diff(np.cumsum(last - first) // _AT_ONCE, prepend=0))
    for rows in np.split(np.arange(len(at)), bounds):
        if not len(rows):
            continue
        counts = (last - first)[rows]
        starts = np.cumsum(counts) - counts
        which = np.arange(counts.sum()) - np.repeat(starts - first[rows], counts)
        now = np.repeat(at[rows], counts)
        until = np.minimum(np.append(part.ts, FAR_FUTURE)[which + 1], now)
        weight = np.exp((until - now) / time_constant) - np.exp(
            (part.ts[which] - now) / time_constant
        )
        value = part.value[which]
        weight = np.where(np.isnan(value), 0.0, weight)
        total = np.add.reduceat(weight, starts)
        lagged = np.add.reduceat(weight * np.nan_to_num(value), starts)
        values[rows] = np.where(total > 0, lagged / np.where(total > 0, total, 1.0), present[rows])
    return np.where(np.isnan(present), np.nan, values)
