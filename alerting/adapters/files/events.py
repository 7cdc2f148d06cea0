"""Events in a CSV or Parquet file, one per line: type, start, perhaps end and attributes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import NO_INSTANT, BoolArray
from alerting.adapters.files.checks import (
    EXAMPLES,
    Check,
    bad_lines,
    bad_rows,
    faulty_lines,
    profile_column,
    read_names,
)
from alerting.adapters.files.duplicates import Duplicates
from alerting.adapters.files.profile import TableFile, count_filled, note_chunk
from alerting.adapters.files.recognition import contains_stamps
from alerting.adapters.files.rows import Keyed, Layout, TableRows
from alerting.adapters.files.tables.opening import open_table
from alerting.definitions.assets import VariableType
from alerting.definitions.faults import UserError, shown
from alerting.ports import EventRow, Progress
from alerting.readings.history import Millis, datetimes
from alerting.readings.inference import ColumnProfile
from alerting.usecases.ingestion.sources import (
    Duration,
    EventsProfile,
    EventTypeProfile,
    Reject,
)
from alerting.usecases.ingestion.text_names import TextNames, Titles

DEFAULT_TYPE_COLUMN = "type"
DEFAULT_END_COLUMN = "end"
ORIGIN = "import"


@dataclass(frozen=True)
class EventColumns:
    """Columns of type and end of an event: one `type`, or `type_column` after `type_prefix`."""

    type: str | None = None
    type_column: str | None = None
    type_prefix: str = ""
    end_column: str | None = None


@dataclass(frozen=True)
class _Typed:
    """A chunk with type and end of every event, and all checks on them; `at` is the start."""

    keyed: Keyed
    types: npt.NDArray[np.object_]
    ends: Millis
    has_end: BoolArray
    checks: list[Check]


class EventsFile(TableFile["_Typed", EventsProfile]):
    """A file of events behind the port `EventSource`. Raises UserError for a missing column."""

    def __init__(self, path: Path, layout: Layout, columns: EventColumns) -> None:
        if columns.type and columns.type_column:
            raise UserError(
                "give either --type or --type-column: the type is named once for all lines, or on "
                "each line"
            )
        if columns.type and columns.type_prefix:
            raise UserError(
                "--type-prefix goes with --type-column; write the whole name after --type"
            )
        titles = open_table(path, layout.separator, layout.encoding).titles
        self._type = columns.type
        self._types = TextNames("event type", columns.type_prefix)
        if columns.type:
            self._types.read_option(columns.type, "--type")  # refused before the file is read
        self._type_column = None if columns.type else columns.type_column or DEFAULT_TYPE_COLUMN
        default_end = DEFAULT_END_COLUMN if DEFAULT_END_COLUMN in titles else None
        self._end_column = columns.end_column or default_end
        keys = {
            self._type_column: "--type-column (or name one type with --type)",
            self._end_column: "--end-column",
        }
        self._keys = [title for title in keys if title]
        found = [(title, option) for title, option in keys.items() if title]
        super().__init__(path, TableRows(path, layout, found))

    def keep_names(self, titles: Titles, types: Titles) -> None:
        """Give texts that are titles of assets or event types the names of these; before the
        profile."""
        self._rows.keep_names(titles)
        self._types = TextNames("event type", self._types.prefix, lambda: types)

    def profile(self, progress: Progress, *, stop_early: bool = False) -> EventsProfile:
        """Return the profile of `TableFile`, with the texts of event types."""
        profile = super().profile(progress, stop_early=stop_early)
        profile.type_texts = self._types.texts
        return profile

    def _new_profile(self, columns: dict[str, ColumnProfile]) -> EventsProfile:
        stamps = [t for t in self._rows.names if contains_stamps(self._rows.sample[t], t)]
        return EventsProfile(columns, end_column=self._end_column is not None, stamps=stamps)

    def _add(self, profile: EventsProfile, duplicates: Duplicates, typed: "_Typed") -> None:
        found_again, checks = self._find_duplicates(duplicates, typed, typed.checks)
        same = found_again.same
        usable = ~bad_rows(checks, len(typed.types)) & ~same
        note_chunk(profile, typed.keyed, checks, usable)
        profile.repeated += int(same.sum())
        for column in profile.columns.values():
            profile_column(
                column,
                typed.keyed.chunk,
                typed.keyed.cells[column.title],
                usable,
                self._rows.numbers,
            )
        count_filled(profile.assets, typed.keyed.assets, usable, {})
        profile.rows += int(usable.sum())
        for name in dict.fromkeys(typed.types[usable].tolist()):
            found = profile.types.setdefault(name, EventTypeProfile())
            check = self._ends_check(typed, usable & (typed.types == name))
            found.ends += int(check.bad.sum())
            if check.bad.any():
                found.first_ends.extend(
                    faulty_lines(typed.keyed.chunk, [check], EXAMPLES - len(found.first_ends))
                )

    def _chunks(self) -> Iterator[_Typed]:
        for keyed in self._rows.chunks(self._keys):
            rows = len(keyed.at)
            checks = list(keyed.checks)
            named = self._types.read_option(self._type, "--type") if self._type else None
            types = np.full(rows, named, dtype=object)
            if self._type_column:
                types, type_checks = read_names(
                    keyed.cells[self._type_column], self._type_column, self._types
                )
                checks += type_checks
            ends = np.full(rows, NO_INSTANT, dtype=np.int64)
            has_end = np.zeros(rows, dtype=bool)
            if self._end_column:
                stamps = self._rows.stamps.ends(keyed.cells[self._end_column], keyed.at)
                ends = stamps.at
                has_end = ~stamps.absent
                checks += self._end_checks(self._end_column, keyed, stamps)
            yield _Typed(keyed, types, ends, has_end, checks)

    def _end_checks(self, title: str, keyed: Keyed, stamps: cell.Instants) -> list[Check]:
        cells = keyed.cells[title]
        reader = self._rows.stamps
        early = ~stamps.absent & ~stamps.bad & (stamps.at < keyed.at)
        return [
            Check(stamps.bad, title, lambda row: reader.why(cells[row].as_py())),
            Check(
                early,
                title,
                lambda row: f"the end {shown(cells[row].as_py())} lies before the start",
            ),
        ]

    def _ends_check(self, typed: _Typed, among: BoolArray) -> Check:
        """Return the check that instant events have no end after their start."""
        bad = among & typed.has_end & (typed.ends != typed.keyed.at)
        return Check(
            bad,
            self._end_column or "",
            lambda _: (
                "an instant event has no end; add --lasting if events of this type have a duration"
            ),
        )

    def _compared(
        self, typed: "_Typed"
    ) -> tuple[npt.NDArray[np.object_], Millis, dict[str, cell.Cells]]:
        keyed = typed.keyed
        titles = [*([self._end_column] if self._end_column else []), *self._rows.names]
        both = zip(keyed.assets, typed.types, strict=True)
        series = np.array([f"{asset}\n{type}" for asset, type in both], dtype=object)
        return series, keyed.at, {title: keyed.cells[title] for title in titles}

    def read(
        self,
        types: Mapping[str, VariableType],
        durations: Mapping[str, Duration],
        reject: Reject,
        progress: Progress,
    ) -> Iterator[Sequence[EventRow]]:
        """Yield the events chunk by chunk, in file order."""
        duplicates = Duplicates()
        for typed in self._chunks():
            rows = self._events(typed, types, durations, duplicates, reject)
            if rows:
                yield rows
            progress("writing", self._rows.table.position.done, self._rows.table.position.total)

    def _events(
        self,
        typed: _Typed,
        types: Mapping[str, VariableType],
        durations: Mapping[str, Duration],
        duplicates: Duplicates,
        reject: Reject,
    ) -> list[EventRow]:
        instant = np.array([durations.get(t) == "instant" for t in typed.types], dtype=bool)
        checks = [*typed.checks, self._ends_check(typed, instant)]
        columns = []
        for title, kind in types.items():
            values, _ = cell.values(
                typed.keyed.cells[title],
                kind,
                self._rows.numbers.decimal,
                self._rows.numbers.thousands,
            )
            columns.append(values.tolist())
        again, checks = self._find_duplicates(duplicates, typed, checks)
        for line in bad_lines(typed.keyed.chunk, checks):
            reject(line)
        selected = np.flatnonzero(~bad_rows(checks, len(instant)) & ~again.same)
        names = [self._rows.names[title] for title in types]
        starts = datetimes(typed.keyed.at[selected])
        ends = datetimes(np.where(typed.has_end, typed.ends, 0)[selected])
        return [
            EventRow(
                asset=typed.keyed.assets[row],
                type=typed.types[row],
                start=start,
                end=start if instant[row] else end if typed.has_end[row] else None,
                source=ORIGIN,
                attributes={
                    name: value
                    for name, value in zip(names, [column[row] for column in columns], strict=True)
                    if value is not None
                },
            )
            for row, start, end in zip(selected.tolist(), starts, ends, strict=True)
        ]
