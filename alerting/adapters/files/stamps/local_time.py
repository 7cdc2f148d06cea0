"""Conversion of local time stamps of a zone into instants, also in the hour that repeats when the
clocks are set back.

A stamp in that hour is ambiguous; the order of the lines resolves it. While local time advances, a
stamp belongs to the first hour. From the line where it goes back, a stamp belongs to the second.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from difflib import get_close_matches
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np
import numpy.typing as npt

from alerting.adapters.files.cells import NO_INSTANT
from alerting.deferred import pd
from alerting.definitions.faults import UserError, shown
from alerting.definitions.wording.language import join_with_or, translatable
from alerting.readings.history import Millis

_DAY_MS = 86_400_000
Rows = npt.NDArray[np.int64]


@dataclass
class ClockChange:
    """Stamps in a repeated hour: how many are assigned to the first and the second hour."""

    first: int = 0
    second: int = 0


@dataclass
class LocalClock:
    """Reader of the stamps of a file, chunk by chunk in order; `changes`: its findings by day."""

    zone: ZoneInfo
    changes: dict[date, ClockChange] = field(default_factory=dict)
    _open: dict[str | None, Millis] = field(default_factory=dict)

    def instants(self, local: Millis, series: npt.NDArray[np.object_] | None) -> Millis:
        """Return local milliseconds as instants, or `NO_INSTANT`; `series`: each row's asset."""
        stamps = pd.DatetimeIndex(local.view("datetime64[ms]"))
        at: Millis = stamps.tz_localize(self.zone, ambiguous="NaT", nonexistent="NaT").asi8.copy()
        unclear = np.flatnonzero((at == NO_INSTANT) & (local != NO_INSTANT))
        if not len(unclear):
            self._open.clear()
            return at
        first = self._localize(local[unclear], summer=True)
        second = self.second(local[unclear])
        twice = first != NO_INSTANT
        later = self._second_time(local, unclear[twice], series)
        at[unclear[twice]] = np.where(
            later == 1, second[twice], np.where(later == 0, first[twice], NO_INSTANT)
        )
        return at

    def second(self, local: Millis) -> Millis:
        """Return local milliseconds as instants; a repeated time is the second one."""
        return self._localize(local, summer=False)

    def _localize(self, local: Millis, *, summer: bool) -> Millis:
        stamps = pd.DatetimeIndex(local.view("datetime64[ms]"))
        found = stamps.tz_localize(
            self.zone, ambiguous=np.full(len(stamps), summer), nonexistent="NaT"
        )
        return np.asarray(found.as_unit("ms").asi8)

    def _second_time(
        self, local: Millis, rows: Rows, series: npt.NDArray[np.object_] | None
    ) -> npt.NDArray[np.int8]:
        """Return 0 or 1: first or second of a repeated time; -1 without an order."""
        later = np.zeros(len(rows), dtype=np.int8)
        codes, names = (
            pd.factorize(series, use_na_sentinel=False) if series is not None else (None, [None])
        )
        still_open: dict[str | None, Millis] = {}
        for code, name in enumerate(names):
            own = np.arange(len(rows)) if codes is None else np.flatnonzero(codes[rows] == code)
            if not len(own):
                continue
            everything = local if codes is None else local[codes == code]
            steps = np.diff(everything[everything != NO_INSTANT])
            order = _Order(
                int((steps < 0).sum()) > int((steps > 0).sum()), int((steps == 0).sum()) > 1
            )
            days = local[rows[own]] // _DAY_MS
            for day in np.unique(days):
                mine = own[days == day]
                carried = self._open.get(name, np.empty(0, dtype=np.int64))
                before = carried[carried // _DAY_MS == day]
                run = np.concatenate([before, local[rows[mine]]])
                later[mine] = _passes(run, order)[len(before) :]
                still_open[name] = run
                self._note(datetime.fromtimestamp(int(day) * 86_400, UTC).date(), later[mine])
        self._open = still_open
        return later

    def _note(self, day: date, later: npt.NDArray[np.int8]) -> None:
        change = self.changes.setdefault(day, ClockChange())
        change.first += int((later == 0).sum())
        change.second += int((later == 1).sum())


class _Order(NamedTuple):
    """Order of a series' lines: is the newest first, and have instants several lines?"""

    backwards: bool
    repeated: bool


def _passes(run: Millis, order: _Order) -> npt.NDArray[np.int8]:
    """Return whether each stamp of a repeated hour is its first or second; -1 without an order."""
    steps = np.diff(run)
    turns = np.flatnonzero(steps > 0 if order.backwards else steps < 0)
    passes = np.zeros(len(run), dtype=np.int8)
    if len(turns) > 1:
        passes[:] = -1
    elif len(turns) == 1:
        passes[turns[0] + 1 :] = 1
    elif len(run) == 2 and run[0] == run[1] and not order.repeated:  # a value an hour
        passes[1] = 1
    return 1 - passes if order.backwards and passes.any() and passes[0] >= 0 else passes


def zone_shown(local: Millis, series: npt.NDArray[np.object_] | None) -> ZoneInfo | None:
    """Return the European zone in which these stamps, read as UTC, show a set-back of the clocks;
    None if they show none.

    Europe sets all clocks back at 01:00 UTC, so that the repeated hour reveals the offset.
    """
    for name in ("Europe/Berlin", "Europe/London", "Europe/Helsinki"):
        clock = LocalClock(ZoneInfo(name))
        clock.instants(local, series)
        if any(change.first > 1 and change.second > 1 for change in clock.changes.values()):
            return clock.zone
    return None


def find_zone(name: str | None) -> ZoneInfo | None:
    """Return a time zone; None without a name. Raises UserError for an unknown one."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        close = get_close_matches(name, available_timezones(), n=3, cutoff=0.5)
        hint = (
            translatable("did you mean {names}?", names=join_with_or(*close))
            if close
            else translatable("write for example Europe/Berlin")
        )
        raise UserError(
            translatable("{name} is not a time zone; {hint}", name=shown(name), hint=hint)
        ) from error
