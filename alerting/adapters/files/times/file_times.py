"""Times of a file: the columns that state them, their format, and the zone or the start that they
count from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.chunks import ChunkedTable, title_list
from alerting.adapters.files.recognition import (
    JOINED,
    Sample,
    TimeTexts,
    find_format,
    iso_or_epoch,
    restates_time,
    zone_column,
    zones_of_intervals,
)
from alerting.adapters.files.roles import interval_ends, time_columns
from alerting.adapters.files.times.counts import (
    NAMED_COUNTS,
    CountFormat,
    are_numbers,
    count_format,
    elapsed_format,
    elapsed_unit,
    is_elapsed,
    is_elapsed_title,
)
from alerting.adapters.files.times.instants import (
    DEFAULT_START,
    SequenceStamps,
    StampReader,
    show_instant,
    zone_shown,
)
from alerting.adapters.files.times.stamp_formats import CLOCK_ONLY, ISO, StampFormat, named_format
from alerting.adapters.files.times.zones import find_zone, zone_in
from alerting.definitions.faults import UserError, shown
from alerting.definitions.wording.language import join_with_and
from alerting.readings.history import duration_millis, from_millis, to_millis

if TYPE_CHECKING:
    from alerting.definitions.file_form import FileForm


_BETWEEN_ORIGINS = timedelta(days=1462)  # of days of Excel


class FileTimes:
    """How a table states the times of its rows, as its form says or its first rows show.

    `titles`: the columns of stamps; `ignored`: further columns of times that are no values;
    `notes`: sentences on them. `zone`: of stamps without one, by the reason `zone_from`.
    """

    def __init__(
        self,
        table: ChunkedTable,
        form: FileForm,
        cells: Sample,
        used: Sequence[str],
        *,
        with_ends: bool,
    ) -> None:
        """Find the times in the first rows, `cells`. `used`: columns with another known meaning;
        `with_ends`: the ends of intervals are read, too."""
        self._table = table
        self._form = form
        has_columns = form.sequence is None or form.time is not None
        titles = time_columns(table, form.time, cells, used) if has_columns else ()
        self.titles: tuple[str, ...] = titles
        self._time = JOINED.join(titles)
        ends = () if with_ends or form.only else interval_ends(table.titles, titles)
        zone = self._zone_column([t for t in table.titles if t not in used], cells)
        self.columns = (*titles, zone) if zone else titles
        self.ignored = (*ends, zone) if zone else ends
        self.texts = TimeTexts.find(titles, cells, zone)
        self._sample = self.texts.join(cells)
        self._interval_zones = (
            zones_of_intervals(cells[titles[-1]]) if self.texts.is_interval else []
        )
        self.notes: list[str] = []
        if ends:
            columns = join_with_and(*map(shown, ends))
            self.notes.append(
                f"the stamps are the starts of intervals; their ends in {columns} are not imported"
            )
        if self.texts.is_interval:
            self.notes.append("the stamps are intervals; the start of each counts")
        if self.texts.fraction:
            self.notes.append(f"{shown(titles[-1])} is read as a part of the seconds of the stamps")
        self.format: StampFormat | CountFormat | None = None
        if form.time_format is not None:
            written = form.time_format.strip().lower()
            self.format = NAMED_COUNTS.get(written) or named_format(form.time_format)
        elif form.sequence is None:
            named = form.time is not None
            self.format = find_format(table, titles, self._sample, named=named)
        self.zone, self.zone_from = self._zone()
        self._first_day: int | None = None
        self._count_from_start()
        free = () if with_ends or not titles or form.only else table.titles
        self._leave_out_restated([title for title in free if title not in used], cells)

    def _leave_out_restated(self, free: Sequence[str], cells: Sample) -> None:
        """Ignore the columns that state the times again, unless the user names them or no others
        are left."""
        named = {
            *(*self.columns, *self.ignored),
            *(*self._form.only, *self._form.rename, *self._form.types),
        }
        at = StampReader(self.format, self.zone, self._first_day).read(self._sample).at
        again = [t for t in free if t not in named and restates_time(cells[t], t, at)]
        if again and {*free} - {*again, *named}:
            self.ignored = (*self.ignored, *again)
            self.notes.append(
                "columns that state the times again are left out: "
                f"{title_list([shown(title) for title in again])}"
            )

    def _zone(self) -> tuple[ZoneInfo | None, str]:
        """Return the zone of stamps without one, and the reason for it: --tz, the file, or the
        plant's."""
        chosen = find_zone(self._form.zone)
        plant = find_zone(self._form.plant_zone)
        try:
            stated = self._stated_zone(chosen or plant)
        except UserError as error:
            raise UserError(f"{self._table.path!s}: {error.message}") from error
        if chosen is not None:
            zones = (stated[0], chosen) if stated else ()
            read = [StampReader(self.format, zone).read(self._sample).at for zone in zones]
            if stated and (read[0] != read[1]).any():
                self.notes.append(f"{stated[1]}, but --tz says {chosen.key}, which counts")
            return chosen, "--tz"
        if stated is not None:
            return stated
        if plant is not None:
            return plant, "ALERTING_TIMEZONE"
        return None, "neither --tz nor ALERTING_TIMEZONE names a zone"

    def _stated_zone(self, local: ZoneInfo | None) -> tuple[ZoneInfo, str] | None:
        """Return the zone that the titles of the times name, intervals, or a line above them."""
        sources = dict.fromkeys(self.titles, "the title of the column says")
        sources |= dict.fromkeys(self._interval_zones, "the stamps say")
        for source, says in sources.items():
            if zone := zone_in(source, local):
                return zone[0], f"{says} {zone[1]}"
        text = self._table.stated.zone
        if text is None:
            return None
        above = zone_in(text, local)
        if above is None:
            self.notes.append(
                f"the zone {shown(text)} above the table is unknown; name it with --tz"
            )
            return None
        return above[0], f"a line above the table says {above[1]}"

    def new_stamps(self) -> StampReader | SequenceStamps:
        """Return a reader of stamps for one pass over the file."""
        if self._form.sequence is not None:
            return SequenceStamps(
                self._start(), duration_millis(self._form.sequence), self._time or None
            )
        return StampReader(self.format, self.zone, self._first_day)

    def _count_from_start(self) -> None:
        """Set from what elapsed times count, or the first day of clock times. Raises UserError if
        neither the file nor --start says it."""
        start_text = self._form.start or self._table.stated.start
        if self.format is CLOCK_ONLY and not self._is_elapsed_clock(start_text):
            text = self._form.start or self._table.stated.date or start_text
            self._first_day = _day(text, f"{self._table.path!s}: the times in {shown(self._time)}")
        elif self.format is CLOCK_ONLY or (
            self.format is None and not self._form.time_format and self._is_elapsed(start_text)
        ):
            unit = elapsed_unit(self.titles[0])
            if start_text is None:
                raise UserError(
                    f"{self._table.path!s}: the times in {shown(self._time)} count "
                    f"{unit.name if unit else 'seconds'} from a start that the file does not "
                    "state: give it with --start 2026-03-02T07:18:18Z"
                )
            start = self._start(start_text)
            source = "--start" if self._form.start else "a line above the table"
            words = f"{show_instant(start)} ({source})"
            if self.format is CLOCK_ONLY:
                self.format = replace(CLOCK_ONLY, name=f"HH:MM:SS since {words}")
                self._first_day = _as_local(start, self.zone)
            else:
                self.format = elapsed_format(self.titles[0], start, words)
        elif self._form.start is not None and self._form.sequence is None:
            raise UserError(
                f"{self._table.path!s}: --start goes with --sequence, with a column of counts from "
                "a start such as 'Time (s)', or with clock times without a date"
            )

    def _is_elapsed_clock(self, start: str | None) -> bool:
        """Return whether clock times count from a start: their title says so, or they begin with
        0:00 and the start does not."""
        first = CLOCK_ONLY.read(self._sample.drop_null()[:1]).at
        return is_elapsed_title(self._time) or (
            start is not None
            and len(start) > len("2026-03-02")
            and first[0] == 0
            and not re.search(r"[T ]00:00", start)
        )

    def _is_elapsed(self, start: str | None) -> bool:
        """Return whether the times count from a start: their title says so, or the user does."""
        texts = self._sample
        if len(self.titles) != 1 or count_format(texts, self.titles[0], named=True) is not None:
            return False
        is_named = start is not None and self._form.time is not None
        return is_elapsed(texts, self.titles[0]) or (is_named and are_numbers(texts))

    def _zone_column(self, free: Sequence[str], cells: Sample) -> str | None:
        """Return the column of the zones of the stamps. Raises UserError if it names places."""
        title = zone_column(free, self.titles, cells)
        if title is None:
            return None
        names = cells[title].drop_null()
        if "/" not in names[0].as_py():
            return title
        if self._form.zone is None:
            raise UserError(
                f"{self._table.path!s}: the column {shown(title)} names the zone of each stamp; if "
                f"it is the same for all, give it with --tz {names[0].as_py()}; else import the "
                "lines of each zone on their own"
            )
        return None

    def _start(self, start_text: str | None = None) -> int:
        text = start_text or self._form.start or DEFAULT_START
        at = int(StampReader(None, self.zone).read(cell.column([text])).at[0])
        if at == cell.NO_INSTANT:
            raise UserError(
                f"--start {text!r} is not an instant; write for example --start "
                "2026-01-05T06:00:00Z"
            )
        return at

    def revise(self, instants: cell.Instants, series: npt.NDArray[np.object_] | None) -> bool:
        """Return whether the instants show another zone. `series`: each row's asset."""
        unclear = self.zone is None and instants.zoneless
        shown_zone = zone_shown(instants.local, series) if unclear else None
        if shown_zone is None:
            return False
        self.zone = shown_zone
        self.zone_from = "shown by the hour that comes twice in the file"
        return True

    def note_of_origin(self, last: datetime | None) -> tuple[str, ...]:
        """Return a note on days of Excel that end years before the file was written; `last`: the
        last instant."""
        written = datetime.fromtimestamp(self._table.path.stat().st_mtime, UTC)
        is_old = last is not None and written - last > _BETWEEN_ORIGINS - timedelta(days=366)
        if not is_old or self.format is not NAMED_COUNTS["excel"] or self._form.time_format:
            return ()
        return (
            "the stamps count days since 1899-12-30, and end years before the file was written: if "
            "they count from 1904, as some spreadsheets do, add --time-format excel-1904",
        )

    @property
    def name(self) -> str:
        """Return the format in words."""
        stamps = self.new_stamps()
        if isinstance(stamps, SequenceStamps):
            return stamps.message
        if self.format is None:
            return ISO if self._form.time_format else iso_or_epoch(self._sample)
        return self.format.name

    @property
    def name_zone(self) -> bool:
        """Return whether stamps need no zone: they name it, count from 1970, or are numbered."""
        if self._form.sequence is not None:
            return True
        instants = StampReader(self.format, None, self._first_day).read(self._sample)
        return bool(len(self._sample)) and not instants.zoneless and not instants.bad.all()


def _as_local(at: int, zone: ZoneInfo | None) -> int:
    """Return an instant (ms) as local time, as if that were UTC."""
    local = from_millis(at).astimezone(zone or UTC)
    return to_millis(local.replace(tzinfo=UTC))


def _day(text: str | None, times: str) -> int:
    """Return the day (ms) of a date or an instant. Raises UserError if there is none; `times`: its
    subject."""
    try:
        day = datetime.fromisoformat((text or "")[:10])
    except ValueError as error:
        raise UserError(
            f"{times} name no date; give that of the first line with --start 2026-03-02"
        ) from error
    return to_millis(day.replace(tzinfo=UTC))
