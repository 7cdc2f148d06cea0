"""Conversion of the time stamps of one file into instants, by the format and zone of its form."""

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import NO_INSTANT, Cells, Instants
from alerting.adapters.files.stamps.formats import StampFormat
from alerting.adapters.files.stamps.local_time import LocalClock
from alerting.definitions.faults import shown
from alerting.definitions.wording.language import joined, translatable
from alerting.readings.history import Millis
from alerting.readings.instants import FIRST_INSTANT, LAST_INSTANT, to_millis

_FIRST = to_millis(FIRST_INSTANT)
_LAST = to_millis(LAST_INSTANT)


@dataclass
class StampReader:
    """Reader of stamps chunk by chunk.

    `format`: None for ISO 8601 and numbers since 1970. `zone`: of stamps without one (None: UTC).
    `strict`: a repeated local time is bad in any order of the lines.
    """

    format: StampFormat | None
    zone: ZoneInfo | None
    strict: bool = False
    clock: LocalClock | None = field(init=False)

    def __post_init__(self) -> None:
        self.clock = LocalClock(self.zone) if self.zone else None

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
            local = (stamps := self.format.read(cells)).at
            naive = stamps.naive
            cut = stamps.cut
        local = _within_bounds(local)
        at = local
        if self.clock and self.strict:
            at = cell.local_to_utc(local, naive, self.clock.zone)
        elif self.clock and naive.any():
            at = local.copy()
            at[naive] = self.clock.instants(
                local[naive], series[naive] if series is not None else None
            )
        at = _within_bounds(at)
        return Instants(
            at,
            absent,
            (at == NO_INSTANT) & ~absent,
            0 if self.zone else int((naive & ~absent).sum()),
            cut,
            local,
        )

    def ends(self, cells: Cells, start: Millis) -> Instants:
        """Return ends of events, as `read`; a repeated time is the first after the start."""
        reader = StampReader(self.format, self.zone, self.strict)
        ends = reader.read(cells, np.arange(len(cells)).astype(object))
        if reader.clock is None or not reader.clock.changes:
            return ends
        early = (ends.at < start) & (ends.at != NO_INSTANT) & (ends.at != ends.local)
        at = ends.at.copy()
        at[early] = reader.clock.second(ends.local[early])
        return replace(ends, at=at)

    def why(self, text: str) -> str:
        """Return, as text for people, the reason why this cell holds no instant."""
        if self.format is None or not self.format.matches(cell.column([text])).any():
            at = int(cell.iso_stamps(cell.column([text]))[0][0])
            if at != NO_INSTANT and not _FIRST <= at < _LAST:
                return _beyond(text)
            written = (
                translatable(
                    "the stamps of this file are written {format}", format=self.format.name
                )
                if self.format
                else _how_to_name_it(text)
            )
            return joined("; ", cell.why_no_instant(text, self.zone), written)
        local = int(self.format.read(cell.column([text])).at[0])
        if local != NO_INSTANT and not _FIRST <= local < _LAST:
            return _beyond(text)
        if local == NO_INSTANT or self.zone is None:
            return translatable("{text} is not a date and time of the calendar", text=shown(text))
        return cell.why_not_in_zone(
            text, datetime.fromtimestamp(local / 1000, UTC).replace(tzinfo=None), self.zone
        )


def _within_bounds(at: Millis) -> Millis:
    beyond = (at < _FIRST) | (at >= _LAST)
    return np.where(beyond, NO_INSTANT, at) if beyond.any() else at


def _beyond(text: str) -> str:
    return translatable(
        "{text} does not lie between the years {first} and {last}",
        text=shown(text),
        first=FIRST_INSTANT.year,
        last=LAST_INSTANT.year,
    )


def _how_to_name_it(text: str) -> str:
    looks_like_one = re.match(r"^\d{1,4}[-./]\w{1,3}[-./]\d{1,4}", text) is not None
    return (
        translatable("name the format of the stamps, e.g. --time-format dd.mm.yyyy")
        if looks_like_one
        else ""
    )
