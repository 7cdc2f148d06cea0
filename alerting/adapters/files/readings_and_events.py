"""Readings and events in CSV or Parquet files: a line of readings for each asset and instant, with
a column per variable; a line for each event, with its type, start, perhaps end and attributes. The
profile of a file is made by its first pass, for both alike."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import NO_INSTANT, BoolArray, Cells
from alerting.adapters.files.checks import (
    EXAMPLES,
    Check,
    DuplicateRows,
    Duplicates,
    bad_lines,
    bad_rows,
    duplicate_checks,
    faulty_lines,
    merge_duplicates,
    profile_column,
    read_names,
)
from alerting.adapters.files.find_form import FoundForm, complete, find_form, open_table
from alerting.adapters.files.parquet_table import ParquetTable
from alerting.adapters.files.recognition import contains_stamps
from alerting.adapters.files.roles import distinguishing_column
from alerting.adapters.files.rows import Keyed, Qualities, TableRows
from alerting.deferred import pd
from alerting.definitions.asset_documents import VariableType
from alerting.definitions.faults import UserError, shown, storable
from alerting.definitions.file_form import DuplicatesRule, FileForm
from alerting.ports import EventRow, Progress, ReadingBatch
from alerting.readings.foreign_columns import ColumnProfile, Units
from alerting.readings.history import Millis, Quality, datetimes, from_millis
from alerting.usecases.ingestion.asset_import import TextNames, Titles
from alerting.usecases.ingestion.imported_files import (
    Duration,
    EventsProfile,
    EventTypeProfile,
    Profile,
    Reject,
)


class HasKeys(Protocol):
    """A chunk with more than the keys of its rows."""

    @property
    def keyed(self) -> Keyed: ...


C = TypeVar("C", bound=Keyed | HasKeys)
P = TypeVar("P", bound=Profile)
_CHUNKS_BEHIND = 4
_ENDS = 100_000  # first and last instants among which few far from all others are looked for
_RARER = 5  # times; a value that is this much rarer than the lines is a slow measurement, not a gap


def note_chunk(profile: Profile, keyed: Keyed, checks: Sequence[Check], usable: BoolArray) -> None:
    """Count lines, bad lines and assumptions about time stamps, and extend the time interval."""
    profile.lines += len(keyed.at) + len(keyed.chunk.broken)
    profile.bad += int(bad_rows(checks, len(keyed.at)).sum()) + len(keyed.chunk.broken)
    if len(profile.first_bad) < EXAMPLES:
        profile.first_bad.extend(bad_lines(keyed.chunk, checks, EXAMPLES - len(profile.first_bad)))
    profile.cut += keyed.instants.cut
    if usable.any():
        first = from_millis(int(keyed.at[usable].min()))
        last = from_millis(int(keyed.at[usable].max()))
        profile.first = min(first, profile.first or first)
        profile.last = max(last, profile.last or last)
        ends = np.sort(np.append(profile.ends, keyed.at[usable]), kind="stable")  # nearly in order
        profile.ends = np.append(ends[:_ENDS], ends[_ENDS:][-_ENDS:])


class TableFile(ABC, Generic[C, P]):
    """A file of rows, in chunks, that is read once to check and once to import."""

    def __init__(self, path: Path, file: FoundForm, rule: DuplicatesRule = "refuse") -> None:
        self.name = storable(str(path))
        self.unit = file.table.unit
        self._found = file
        self._rows = TableRows(file)
        self._rule = rule

    @property
    def form(self) -> FileForm:
        """Return the form of the file as it was found; final after the profile."""
        return self._found.report()

    def profile(self, progress: Progress, *, stop_early: bool = False) -> P:
        """Read the whole file once and store only counts, names, and the first few bad lines.

        `stop_early`: stop soon after the first bad line.
        """
        profile = None
        while profile is None:
            profile = self._profile_once(progress, stop_early)
        clock = self._rows.stamps.clock
        profile.head_notes = self._found.notes(profile.last)
        profile.asset_texts = self._rows.assets.texts
        if clock is not None:
            profile.zone = clock.zone.key
            profile.clock_changes = clock.changes
        return profile

    def _profile_once(self, progress: Progress, stop_early: bool) -> P | None:
        """Return the profile of one pass; None if the file's format is not the assumed one."""
        rows = self._rows
        columns = self._found.written.new_columns(self._found.names)
        profile = self._new_profile(columns)
        duplicates = Duplicates(self._rule)
        behind = 0
        for chunk in self._chunks():
            self._add(profile, duplicates, chunk)
            keyed = chunk if isinstance(chunk, Keyed) else chunk.keyed
            file = complete(self._found, keyed.instants, keyed.assets, columns.values())
            if file is not self._found:
                self._found = rows.file = file
                return None
            position = rows.table.position
            progress("checking", position.done, position.total)
            behind += bool(profile.bad)
            if stop_early and behind > _CHUNKS_BEHIND and position.done < position.total:
                profile.incomplete = True
                break
        return profile

    def _find_duplicates(
        self,
        duplicates: Duplicates,
        chunk: C,
        checks: Sequence[Check],
    ) -> tuple[DuplicateRows, list[Check]]:
        """Return the duplicates among rows without a fault, and the checks with theirs."""
        series, at, cells = self._compared(chunk)
        duplicate_rows = duplicates.find(series, at, [*cells.values()], ~bad_rows(checks, len(at)))
        contradictions = duplicate_checks(len(at), duplicate_rows.contradictions, [*cells])
        return duplicate_rows, [*checks, *contradictions]

    @abstractmethod
    def _new_profile(self, columns: dict[str, ColumnProfile]) -> P: ...

    @abstractmethod
    def _chunks(self) -> Iterator[C]: ...

    @abstractmethod
    def _add(self, profile: P, duplicates: Duplicates, chunk: C) -> None: ...

    @abstractmethod
    def _compared(self, chunk: C) -> tuple[npt.NDArray[np.object_], Millis, dict[str, Cells]]:
        """Return what tells the rows of a chunk apart: their series, instants and values."""


def note_spacing(
    profile: Profile, keyed: Keyed, usable: BoolArray, filled: Mapping[str, BoolArray]
) -> None:
    """Find the columns whose values are much rarer than the lines, from the first such chunk."""
    rows = int(usable.sum())
    if rows < 20 or not any(2 * np.count_nonzero(present) < rows for present in filled.values()):
        return
    of_first = usable & (keyed.assets == keyed.assets[int(np.argmax(usable))])
    line_ms = _usual_step(keyed.at[of_first])
    for column in profile.columns.values():
        present = filled[column.name]
        if (
            column.every_ms is not None
            or not line_ms
            or not 3 <= np.count_nonzero(present) < rows / _RARER
        ):
            continue
        every = _usual_step(keyed.at[of_first & present])
        if every >= _RARER * line_ms:
            column.every_ms = every


def _usual_step(at: Millis) -> int:
    steps = np.abs(np.diff(at))
    steps = steps[steps > 0]
    return int(np.median(steps)) if len(steps) > 1 else 0


def count_filled(
    assets: dict[str, set[str]],
    named: npt.NDArray[np.object_],
    usable: BoolArray,
    filled: Mapping[str, BoolArray],
) -> None:
    """Add the assets of the usable rows, each with the names of its filled columns."""
    codes, names = pd.factorize(named[usable])
    columns_by_asset = [assets.setdefault(name, set()) for name in names]
    for column, mask in filled.items():
        for code in np.flatnonzero(np.bincount(codes, weights=mask[usable], minlength=len(names))):
            columns_by_asset[code].add(column)


BATCH = 10_000
# bytes; the cells of a file up to this size stay in memory between the check and the import
PARSED_ONCE = 48 << 20


class ReadingsFile(TableFile[Keyed, Profile]):
    """A file of readings behind the port `ReadingSource`. Raises UserError for a missing column."""

    def __init__(self, path: Path, form: FileForm) -> None:
        super().__init__(path, find_form(path, form, units={}), form.duplicates)
        self._parsed: list[Keyed] | None = None
        self._size = 0

    def keep_names(self, titles: Titles, units: Units) -> None:
        """Give texts that are titles of assets, and columns of declared variables, the names of
        these; before the profile."""
        self._rows.keep_names(titles)
        self._found = self._rows.file = self._found.with_units(units)

    def newest_instant(self) -> datetime | None:
        """Return the newest instant that the file states without being read; None if it does
        not."""
        table = self._rows.table
        if not isinstance(table, ParquetTable) or len(self._found.times.texts.titles) != 1:
            return None
        return table.newest_instant(self._found.times.texts.titles[0])

    def _new_profile(self, columns: dict[str, ColumnProfile]) -> Profile:
        self._parsed = []
        self._size = 0
        return Profile(columns, duplicates=self._rule)

    def _chunks(self) -> Iterator[Keyed]:
        return self._rows.chunks()

    def _add(self, profile: Profile, duplicates: Duplicates, keyed: Keyed) -> None:
        self._size += keyed.size
        if self._size > PARSED_ONCE:
            self._parsed = None
        if self._parsed is not None:
            self._parsed.append(keyed)
        duplicate_rows, checks = self._find_duplicates(duplicates, keyed, keyed.checks)
        usable = ~bad_rows(checks, len(keyed.at)) & ~duplicate_rows.same
        note_chunk(profile, keyed, checks, usable)
        profile.repeated += int((duplicate_rows.same | duplicate_rows.again).sum())
        profile.contradictions += len(duplicate_rows.contradictions)
        if duplicate_rows.contradictions or duplicate_rows.again.any():
            profile.distinguishing = profile.distinguishing or self._distinguishing(keyed)
        no_values = keyed.quality.bad
        filled = {
            c.name: profile_column(
                c,
                keyed.chunk,
                keyed.cells[c.title],
                usable & ~no_values[c.title] if c.title in no_values else usable,
                self._found.numbers,
                keyed.floats.get(c.title),
            )
            for c in profile.columns.values()
        }
        note_spacing(profile, keyed, usable, filled)
        profile.rows += int((usable & ~duplicate_rows.again).sum())
        profile.empty += int(
            (
                usable
                & ~np.logical_or.reduce([*filled.values(), *keyed.quality.bad.values(), ~usable])
            ).sum()
        )
        for title, bad in keyed.quality.bad.items():
            profile.columns[title].bad_quality += int((bad & usable).sum())
        for title, uncertain in keyed.quality.uncertain.items():
            profile.columns[title].uncertain += int((uncertain & usable).sum())
        count_filled(profile.assets, keyed.assets, usable, filled)
        self._sample(profile, keyed, filled)

    def _sample(self, profile: Profile, keyed: Keyed, filled: Mapping[str, BoolArray]) -> None:
        rows = profile.sample.choose(len(keyed.at), len(profile.columns))
        values = np.full((len(rows), len(profile.columns)), np.nan)
        numbers = self._found.numbers
        for i, column in enumerate(profile.columns.values() if len(rows) else ()):
            floats = keyed.floats.get(column.title)
            if floats is not None:
                values[:, i] = floats[rows]
            elif column.numbers:
                cells = keyed.cells[column.title].take(rows)
                values[:, i], _ = cell.numbers(cells, numbers.decimal, numbers.thousands)
            values[~filled[column.name][rows], i] = np.nan
        profile.sample.add(keyed.assets[rows], keyed.at[rows], values)

    def _distinguishing(self, keyed: Keyed) -> str | None:
        """Return the column of texts that tells apart the first rows of one instant."""
        rows = np.flatnonzero(~bad_rows(keyed.checks, len(keyed.at)))
        cells = {title: keyed.cells[title].take(rows) for title in self._found.names}
        return distinguishing_column(cells, keyed.assets[rows], keyed.at[rows])

    def _compared(
        self, keyed: Keyed
    ) -> tuple[npt.NDArray[np.object_], Millis, dict[str, cell.Cells]]:
        comparable = keyed.quality.comparable
        cells = {title: comparable(title, keyed.cells[title]) for title in self._found.names}
        return keyed.assets, keyed.at, cells

    def read(
        self, types: Mapping[str, VariableType], reject: Reject, progress: Progress
    ) -> Iterator[ReadingBatch]:
        """Yield batches of at most 10,000 readings in order; a thread parses the next one, while
        the caller works on the last one."""
        batches: Iterator[ReadingBatch] = self._read(types, reject, progress)
        if self._rule != "refuse":
            batches = merge_duplicates(batches, self._rule)
        with ThreadPoolExecutor(1) as worker:
            following = worker.submit(next, batches, None)
            while (batch := following.result()) is not None:
                following = worker.submit(next, batches, None)
                yield batch

    def _read(
        self, types: Mapping[str, VariableType], reject: Reject, progress: Progress
    ) -> Iterator[ReadingBatch]:
        duplicates = Duplicates(self._rule)
        for keyed in self._chunks_again():
            yield from self._batches(keyed, types, duplicates, reject)
            progress("writing", self._rows.table.position.done, self._rows.table.position.total)

    def _chunks_again(self) -> Iterator[Keyed]:
        """Yield the checked chunks, perhaps parsed again. Raises UserError if they changed."""
        parsed = self._parsed
        self._parsed = None
        if parsed is None:
            yield from self._rows.chunks()
            return
        position = self._rows.table.position = self._rows.table.position.reopen()
        for i, keyed in enumerate(parsed, 1):
            position.done = position.total * i // len(parsed)
            yield keyed

    def _batches(
        self,
        keyed: Keyed,
        types: Mapping[str, VariableType],
        duplicates: Duplicates,
        reject: Reject,
    ) -> Iterator[ReadingBatch]:
        columns = {
            self._found.names[title]: self._rows.values(keyed, title, kind)
            for title, kind in types.items()
        }
        duplicate, checks = self._find_duplicates(duplicates, keyed, keyed.checks)
        for line in bad_lines(keyed.chunk, checks):
            reject(line)
        good = ~bad_rows(checks, len(keyed.at)) & ~duplicate.same
        rated = [
            mask
            for masks in (keyed.quality.bad, keyed.quality.uncertain)
            for t, mask in masks.items()
            if t in types
        ]
        good &= np.logical_or.reduce(
            [*(column.present for column in columns.values()), *rated, np.zeros_like(good)]
        )
        rows = np.flatnonzero(good)
        for start in range(0, len(rows), BATCH):
            some = rows[start : start + BATCH]
            quality = _qualities(keyed.quality, {t: self._found.names[t] for t in types}, some)
            samples = {name: column.take(some) for name, column in columns.items()}
            yield ReadingBatch(keyed.assets[some], keyed.at[some], samples, quality)


def _qualities(
    quality: Qualities, names: Mapping[str, str], rows: npt.NDArray[np.int64]
) -> dict[int, dict[str, Quality]]:
    """Return the quality of samples that are not good, by position among the rows and variable."""
    grades: dict[int, dict[str, Quality]] = {}
    masks: tuple[tuple[Quality, Mapping[str, BoolArray]], ...] = (
        ("bad", quality.bad),
        ("uncertain", quality.uncertain),
    )
    for grade, by_title in masks:
        for title in by_title.keys() & names.keys():
            for position in np.flatnonzero(by_title[title][rows]).tolist():
                grades.setdefault(position, {})[names[title]] = grade
    return grades


DEFAULT_TYPE_COLUMN = "type"
DEFAULT_END_COLUMN = "end"
ORIGIN = "import"


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

    def __init__(self, path: Path, form: FileForm) -> None:
        if form.event_type and form.type_column:
            raise UserError(
                "give either --type or --type-column: the type is named once for all lines, or on "
                "each line"
            )
        if form.event_type and form.type_prefix:
            raise UserError(
                "--type-prefix goes with --type-column; write the whole name after --type"
            )
        titles = open_table(path, form).titles
        self._type = form.event_type
        self._types = TextNames("event type", form.type_prefix)
        if form.event_type:
            self._types.read_option(form.event_type, "--type")  # refused before the file is read
        self._type_column = None if form.event_type else form.type_column or DEFAULT_TYPE_COLUMN
        default_end = DEFAULT_END_COLUMN if DEFAULT_END_COLUMN in titles else None
        self._end_column = form.end_column or default_end
        keys = {
            self._type_column: "--type-column (or name one type with --type)",
            self._end_column: "--end-column",
        }
        self._keys = [title for title in keys if title]
        key_titles = [(title, option) for title, option in keys.items() if title]
        super().__init__(path, find_form(path, form, key_titles))

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
        stamps = [t for t in self._found.names if contains_stamps(self._found.sample[t], t)]
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
                self._found.numbers,
            )
        count_filled(profile.assets, typed.keyed.assets, usable, {})
        profile.rows += int(usable.sum())
        for name in dict.fromkeys(typed.types[usable].tolist()):
            of_type = profile.types.setdefault(name, EventTypeProfile())
            check = self._ends_check(typed, usable & (typed.types == name))
            of_type.ends += int(check.bad.sum())
            if check.bad.any():
                of_type.first_ends.extend(
                    faulty_lines(typed.keyed.chunk, [check], EXAMPLES - len(of_type.first_ends))
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
        titles = [*([self._end_column] if self._end_column else []), *self._found.names]
        pairs = zip(keyed.assets, typed.types, strict=True)
        series = np.array([f"{asset}\n{type}" for asset, type in pairs], dtype=object)
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
            columns.append(self._rows.values(typed.keyed, title, kind).tolist())
        again, checks = self._find_duplicates(duplicates, typed, checks)
        for line in bad_lines(typed.keyed.chunk, checks):
            reject(line)
        selected = np.flatnonzero(~bad_rows(checks, len(instant)) & ~again.same)
        names = [self._found.names[title] for title in types]
        starts = datetimes(typed.keyed.at[selected])
        stated = datetimes(np.where(typed.has_end, typed.ends, 0)[selected])
        ends = [
            at if typed.has_end[row] else None for row, at in zip(selected, stated, strict=True)
        ]
        return [
            EventRow(
                asset=typed.keyed.assets[row],
                type=typed.types[row],
                start=start,
                end=start if instant[row] else end,
                source=ORIGIN,
                attributes={
                    name: value
                    for name, value in zip(names, [column[row] for column in columns], strict=True)
                    if value is not None
                },
            )
            for row, start, end in zip(selected.tolist(), starts, ends, strict=True)
        ]
