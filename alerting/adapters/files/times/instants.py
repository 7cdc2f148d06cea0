"""Conversion of the time stamps of one file into instants, by the format and zone of its form."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import NO_INSTANT, Cells, FloatArray, Instants
from alerting.adapters.files.times.counts import CountFormat
from alerting.adapters.files.times.stamp_formats import StampFormat
from alerting.adapters.files.times.zones import AMBIGUOUS, why_ambiguous
from alerting.deferred import pd
from alerting.definitions.faults import format_duration, shown
from alerting.definitions.wording.language import join_with_or, joined
from alerting.readings.history import (
    DAY_MS,
    FIRST_INSTANT,
    LAST_INSTANT,
    Millis,
    from_millis,
    to_millis,
)
from alerting.readings.written_values import why_beyond

Rows = npt.NDArray[np.int64]


@dataclass
class LocalClock:
    """Reader of the stamps of a file, chunk by chunk in order. `changes`: by day, how many stamps
    in a repeated hour are assigned to the first and the second one."""

    zone: ZoneInfo
    changes: dict[date, tuple[int, int]] = field(default_factory=dict)
    _open: dict[str | None, Millis] = field(default_factory=dict)

    def instants(self, local: Millis, series: npt.NDArray[np.object_] | None) -> Millis:
        """Return local milliseconds as instants, or `NO_INSTANT`; `series`: each row's asset."""
        stamps = pd.DatetimeIndex(local.view("datetime64[ms]"))
        at: Millis = stamps.tz_localize(self.zone, ambiguous="NaT", nonexistent="NaT").asi8.copy()
        unclear = np.flatnonzero((at == NO_INSTANT) & (local != NO_INSTANT))
        if not len(unclear):
            self._open.clear()
            return at
        first = self.localize(local[unclear], summer=True)
        second = self.localize(local[unclear], summer=False)
        twice = first != NO_INSTANT
        later = self._second_time(local, unclear[twice], series)
        at[unclear[twice]] = np.where(
            later == 1, second[twice], np.where(later == 0, first[twice], NO_INSTANT)
        )
        return at

    def localize(self, local: Millis, *, summer: bool) -> Millis:
        """Return local milliseconds as instants; a repeated time is the first one if it is that of
        the `summer`."""
        stamps = pd.DatetimeIndex(local.view("datetime64[ms]"))
        localized = stamps.tz_localize(
            self.zone, ambiguous=np.full(len(stamps), summer), nonexistent="NaT"
        )
        return np.asarray(localized.as_unit("ms").asi8)

    def _second_time(
        self, local: Millis, rows: Rows, series: npt.NDArray[np.object_] | None
    ) -> npt.NDArray[np.int8]:
        """Return 0 or 1: first or second of a repeated time; -1 without an order."""
        later = np.zeros(len(local), dtype=np.int8)
        is_unclear = np.isin(np.arange(len(local)), rows)
        still_open: dict[str | None, Millis] = {}
        for name, of_asset in _by_asset(series, len(local)):
            steps = np.diff(local[of_asset[local[of_asset] != NO_INSTANT]])
            backwards = int((steps < 0).sum()) > int((steps > 0).sum())
            repeated = int((steps == 0).sum()) > 1
            unclear = of_asset[is_unclear[of_asset]]
            for day in np.unique(local[unclear] // DAY_MS):
                mine = unclear[local[unclear] // DAY_MS == day]
                carried = self._open.get(name, np.empty(0, dtype=np.int64))
                before = carried[carried // DAY_MS == day]
                run = np.concatenate([before, local[mine]])
                later[mine] = _passes(run, backwards=backwards, repeated=repeated)[len(before) :]
                still_open[name] = run
                date_of_day = datetime.fromtimestamp(int(day) * 86_400, UTC).date()
                more = [int((later[mine] == turn).sum()) for turn in (0, 1)]
                first, second = self.changes.get(date_of_day, (0, 0))
                self.changes[date_of_day] = first + more[0], second + more[1]
        self._open = still_open
        return later[rows]


def _by_asset(
    series: npt.NDArray[np.object_] | None, rows: int
) -> Iterator[tuple[str | None, Rows]]:
    """Yield each asset with its rows; None with all `rows` if it is the same for all."""
    if series is None:
        yield None, np.arange(rows)
    else:
        codes, names = pd.factorize(series, use_na_sentinel=False)
        yield from ((name, np.flatnonzero(codes == code)) for code, name in enumerate(names))


def _passes(run: Millis, *, backwards: bool, repeated: bool) -> npt.NDArray[np.int8]:
    """Return whether each stamp of a repeated hour is its first or second; -1 without an order.
    `backwards`: the newest line is first; `repeated`: instants have several lines."""
    steps = np.diff(run)
    turns = np.flatnonzero(steps > 0 if backwards else steps < 0)
    passes = np.zeros(len(run), dtype=np.int8)
    if len(turns) > 1:
        passes[:] = -1
    elif len(turns) == 1:
        passes[turns[0] + 1 :] = 1
    elif len(run) == 2 and run[0] == run[1] and not repeated:  # a value an hour
        passes[1] = 1
    return 1 - passes if backwards and passes.any() and passes[0] >= 0 else passes


def zone_shown(local: Millis, series: npt.NDArray[np.object_] | None) -> ZoneInfo | None:
    """Return the European zone in which these stamps, read as UTC, show a set-back of the clocks;
    None if they show none.

    Europe sets all clocks back at 01:00 UTC, so that the repeated hour reveals the offset.

    `local`: the stamps (ms since 1970); `series`: the asset of each row.
    """
    for name in ("Europe/Berlin", "Europe/London", "Europe/Helsinki"):
        clock = LocalClock(ZoneInfo(name))
        clock.instants(local, series)
        if any(min(change) > 1 for change in clock.changes.values()):
            return clock.zone
    return None


DEFAULT_START = "2000-01-01T00:00:00Z"


@dataclass
class SequenceStamps:
    """Reader of instants chunk by chunk, with the methods of `StampReader`. `start`, `step`: ms.

    `title`: of the column whose cells hold the number of the unit, from 1; without it the rows of
    each asset are counted.
    """

    start: int
    step: int
    title: str | None
    clock: None = None
    _counted: dict[str, int] = field(default_factory=dict)

    def read(self, cells: Cells, series: npt.NDArray[np.object_] | None = None) -> Instants:
        """Return the instants of the next rows; `series`: each row's asset, None for one asset."""
        absent = np.zeros(len(cells), np.bool_)
        if self.title is not None:
            absent = ~cell.filled_cells(cells)
            number, _ = cell.numbers(cells)
            position = np.where(number == np.floor(number), number, np.nan) - 1
        else:
            position = self._count(
                np.full(len(cells), "", dtype=object) if series is None else series
            )
        good = (position >= 0) & (position <= (_LAST - 1 - self.start) // self.step)
        at = np.full(len(cells), NO_INSTANT)
        at[good] = self.start + position[good].astype(np.int64) * self.step
        return Instants(at, absent, ~good & ~absent, 0, 0, at)

    def _count(self, series: npt.NDArray[np.object_]) -> FloatArray:
        codes, names = pd.factorize(series, use_na_sentinel=False)
        within = pd.Series(codes).groupby(codes).cumcount().to_numpy(np.int64)
        before = np.array([self._counted.get(name, 0) for name in names], np.int64)
        for name, rows in zip(
            names, np.bincount(codes, minlength=len(names)).tolist(), strict=True
        ):
            self._counted[name] = self._counted.get(name, 0) + rows
        return np.asarray(before[codes] + within, np.float64)

    def ends(self, cells: Cells, start: Millis) -> Instants:
        """Return the ends of events, by the number of their last unit."""
        del start
        return self.read(cells)

    def why(self, text: str | None) -> str:
        """Return, as text for people, the reason why this cell holds no number of a unit."""
        if self.title is None:
            return f"the sequence passes the year {LAST_INSTANT.year}; shorten --sequence"
        return f"{text!r} is not the number of a unit: a whole number, counted from 1"

    @property
    def message(self) -> str:
        """Describe the rule in words: `rows in order, 1m apart from 2000-01-01T00:00:00Z`."""
        start = show_instant(self.start)
        rows = "rows in order" if self.title is None else f"units by their number in {self.title!r}"
        seconds, millis = divmod(self.step, 1000)
        whole = format_duration(timedelta(seconds=seconds)) if seconds or not millis else ""
        step = whole + (f"{millis}ms" if millis else "")
        return f"{rows}, {step} apart from {start}"


def show_instant(at: int) -> str:
    """Return an instant (ms) as text, with milliseconds only if it has some."""
    text = from_millis(at).isoformat(timespec="milliseconds" if at % 1000 else "seconds")
    return text.replace("+00:00", "Z")


_BACK_MS = 3_600_000  # ms; lines in disorder, and clocks that are set back
_HALF_DAY_MS = 12 * 3_600_000


@dataclass
class ClockDays:
    """Days of clock times in the order of their lines, from `first` (ms) on: one begins where the
    clock falls back by more than half a day."""

    first: int
    _last: dict[str | None, tuple[int, int]] = field(default_factory=dict)

    def add(self, clock: Millis, series: npt.NDArray[np.object_] | None) -> Millis:
        """Return clock times (ms of the day) with their days. `NO_INSTANT`: behind a line where it
        is unclear whether a day begins. `series`: each row's asset."""
        at = np.full(len(clock), NO_INSTANT)
        for name, of_asset in _by_asset(series, len(clock)):
            rows = of_asset[clock[of_asset] != NO_INSTANT]
            if not len(rows):
                continue
            day, before = self._last.get(name, (0, int(clock[rows[0]])))
            steps = np.diff(clock[rows], prepend=before)
            small = steps[np.abs(steps) <= _HALF_DAY_MS]
            down = int((small < 0).sum())
            up = int((small > 0).sum())
            unclear = (steps > _HALF_DAY_MS) & (down > up)
            unclear |= (steps < -_BACK_MS) & (down <= max(1, up))
            days = day + np.cumsum(steps < -_HALF_DAY_MS)
            unclear = np.cumsum(unclear & (steps >= -_HALF_DAY_MS)) > 0
            at[rows] = np.where(
                unclear | (day < 0), NO_INSTANT, self.first + days * DAY_MS + clock[rows]
            )
            self._last[name] = (
                -1 if unclear[-1] or day < 0 else int(days[-1]),
                int(clock[rows[-1]]),
            )
        return at


_FIRST = to_millis(FIRST_INSTANT)
_LAST = to_millis(LAST_INSTANT)


@dataclass
class StampReader:
    """Reader of stamps chunk by chunk.

    `format`: None for ISO 8601 and numbers since 1970. `zone`: of stamps without one (None: UTC).
    `first_day` (ms): of stamps that hold a clock time only.
    """

    format: StampFormat | CountFormat | None
    zone: ZoneInfo | None
    first_day: int | None = None
    clock: LocalClock | None = field(init=False)
    _days: ClockDays | None = field(init=False)

    def __post_init__(self) -> None:
        self.clock = LocalClock(self.zone) if self.zone else None
        self._days = None if self.first_day is None else ClockDays(self.first_day)

    def read(self, cells: Cells, series: npt.NDArray[np.object_] | None = None) -> Instants:
        """Return cleaned cells as instants; `series` names the asset of each row, None if it is the
        same for all.

        A stamp before the year 1900 or after 2199 is none: it is the null date of a program, or a
        wrong clock.
        """
        absent = ~cell.filled_cells(cells)
        if self.format is None:
            local, naive, cut = cell.iso_stamps(cells)
        else:
            stamps = self.format.read(cells, self.zone)
            local = stamps.at if self._days is None else self._days.add(stamps.at, series)
            naive = stamps.naive
            cut = stamps.cut
        local = _within_bounds(local)
        at = local
        if self.clock and naive.any():
            at = local.copy()
            at[naive] = self.clock.instants(
                local[naive], series[naive] if series is not None else None
            )
        at = _within_bounds(at)
        return Instants(
            at,
            absent,
            (at == NO_INSTANT) & ~absent,
            int((naive & ~absent).sum()),
            cut,
            local,
        )

    def ends(self, cells: Cells, start: Millis) -> Instants:
        """Return ends of events, as `read`; a repeated time is the first after the start."""
        reader = StampReader(self.format, self.zone, self.first_day)
        ends = reader.read(cells, np.arange(len(cells)).astype(object))
        if reader.clock is None or not reader.clock.changes:
            return ends
        early = (ends.at < start) & (ends.at != NO_INSTANT) & (ends.at != ends.local)
        at = ends.at.copy()
        at[early] = reader.clock.localize(ends.local[early], summer=False)
        return replace(ends, at=at)

    def why(self, text: str) -> str:
        """Return, as text for people, the reason why this cell holds no instant."""
        word = re.split(r"[\s\d()]+", text.strip("() "))[-1]
        column = cell.column([text])
        fits = isinstance(self.format, StampFormat) and self.format.matches(column).any()
        if word in AMBIGUOUS:
            return why_ambiguous(word)
        if isinstance(self.format, CountFormat):
            return f"{shown(text)} is no instant; the stamps of this file are {self.format.name}"
        if self.first_day is not None:
            jump = "the clock jumps between these lines, and it is unclear whether a day begins"
            way = "sort the lines by time, or give each stamp its date"
            is_none = f"{shown(text)} is no clock time such as 06:00:00"
            return f"{shown(text)}: {jump}; {way}" if fits else is_none
        local = int(
            self.format.read(column).at[0]
            if self.format and fits
            else cell.iso_stamps(column)[0][0]
        )
        if local != NO_INSTANT and not _FIRST <= local < _LAST:
            return _beyond(text)
        if fits:
            at = datetime.fromtimestamp(local / 1000, UTC) if local != NO_INSTANT else None
            return (
                cell.why_not_in_zone(text, at.replace(tzinfo=None), self.zone)
                if at and self.zone
                else f"{shown(text)} is not a date and time of the calendar"
            )
        is_date = re.match(r"^\d{1,4}[-./]\w{1,3}[-./]\d{1,4}", text)
        way = "name the format of the stamps, e.g. --time-format dd.mm.yyyy" if is_date else ""
        way = f"the stamps of this file are written {self.format.name}" if self.format else way
        return joined("; ", cell.why_no_instant(text, self.zone), way)


def _within_bounds(at: Millis) -> Millis:
    beyond = (at < _FIRST) | (at >= _LAST)
    return np.where(beyond, NO_INSTANT, at) if beyond.any() else at


_CALENDARS = {
    "Buddhist": (range(2450, 2700), (-543,)),
    "Persian": (range(1300, 1500), (621, 622)),
}
"""Calendars by their years of about 1920 to 2150, and what may be added to them."""


def _beyond(text: str) -> str:
    beyond = why_beyond(shown(text))
    for year in map(int, re.findall(r"(?<!\d)\d{4}(?!\d)", text)):
        for calendar, (years, more) in _CALENDARS.items():
            if year in years:
                others = join_with_or(*(str(year + number) for number in more))
                beyond += (
                    f"; {year} may be {others} in the {calendar} calendar, which is not read: "
                    "change the calendar of the program that writes it"
                )
    return beyond
