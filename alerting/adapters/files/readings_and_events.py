"""Readings and events in CSV or Parquet files: a line of readings for each asset and instant, with
a column per variable; a line for each event, with its type, start, perhaps end and attributes. The
profile of a file is made by its first pass, for both alike."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import BoolArray, Cells, FloatArray, Instants
from alerting.adapters.files.chunks import Chunk
from alerting.adapters.files.find_form import FoundForm, complete, find_form, open_table
from alerting.adapters.files.recognition import JOINED, contains_stamps
from alerting.adapters.files.roles import distinguishing_column
from alerting.adapters.files.rows import (
    BAD,
    EXAMPLES,
    UNCERTAIN,
    Check,
    DuplicateRows,
    Duplicates,
    GradedRows,
    Grades,
    Keyed,
    bad_lines,
    bad_rows,
    faulty_lines,
    merge_duplicates,
    profile_column,
    read_names,
)
from alerting.deferred import pa, pc
from alerting.definitions.asset_documents import VariableType
from alerting.definitions.faults import shown, storable
from alerting.definitions.file_form import DuplicatesRule, FileForm, refuse_sequence
from alerting.definitions.form_fields import What
from alerting.ports import EventRow, Progress, ReadingBatch, SampleColumn
from alerting.readings.foreign_columns import ColumnProfile, Units
from alerting.readings.history import (
    Millis,
    Quality,
    datetimes,
    from_millis,
    grade,
    why_no_quality,
)
from alerting.readings.written_values import MISSING_TEXTS, NULLS
from alerting.usecases.ingestion.asset_import import TextNames, Titles
from alerting.usecases.ingestion.imported_files import (
    Duration,
    EventsProfile,
    EventTypeProfile,
    Profile,
    Reject,
)

P = TypeVar("P", bound=Profile)
_CHUNKS_BEHIND = 4
_ENDS = 100_000  # first and last instants among which few far from all others are looked for
_RARER = 5  # times; a value that is this much rarer than the lines is a slow measurement, not a gap
_GRADES = {"good": 0, "uncertain": UNCERTAIN, "bad": BAD, None: -1}
_QUALITIES: dict[int, Quality] = {UNCERTAIN: "uncertain", BAD: "bad"}


class TableFile(ABC, Generic[P]):
    """A file of rows, in chunks, that is read once to check and once to import."""

    _keys: Sequence[str] = ()  # further columns that are no values
    _end_column: str | None = None

    def __init__(self, path: Path, file: FoundForm, rule: DuplicatesRule = "refuse") -> None:
        self.name = storable(str(path))
        self.unit = file.table.unit
        self._found = file
        self._rule = rule
        self._assets = TextNames("asset", file.form.asset_prefix)
        self._asset_index: dict[str, int] = {}
        self._stamps = file.times.new_stamps()

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
        clock = self._stamps.clock
        profile.head_notes = self._found.notes(profile.last)
        profile.asset_texts = self._assets.texts
        if clock is not None:
            profile.zone = clock.zone.key
            profile.clock_changes = clock.changes
        return profile

    def _profile_once(self, progress: Progress, stop_early: bool) -> P | None:
        """Return the profile of one pass; None if the file's format is not the assumed one."""
        position = self._found.table.position
        columns = self._found.written.new_columns(self._found.names)
        profile = self._new_profile(columns)
        duplicates = Duplicates(self._rule)
        behind = 0
        for keyed in self._chunks():
            usable, duplicate_rows, checks = self._check(keyed, keyed.checks, duplicates)
            bad = int((~(usable | duplicate_rows.same)).sum()) + len(keyed.chunk.broken)
            if bad:
                examples = EXAMPLES - len(profile.first_bad)
                profile.first_bad += bad_lines(keyed.chunk, checks, examples)
            profile.bad += bad
            profile.lines += len(usable) + len(keyed.chunk.broken)
            profile.cut += keyed.instants.cut
            if usable.any():
                at = keyed.instants.at[usable]
                first = from_millis(int(at.min()))
                last = from_millis(int(at.max()))
                profile.first = min(first, profile.first or first)
                profile.last = max(last, profile.last or last)
                ends = np.sort(np.append(profile.ends, at), kind="stable")  # nearly in order
                profile.ends = np.append(ends[:_ENDS], ends[_ENDS:][-_ENDS:])
            self._add(profile, keyed, usable, duplicate_rows)
            file = complete(self._found, keyed.instants, keyed.assets, columns.values())
            if file is not self._found:
                self._found = file
                return None
            if keyed.instants.zoneless:
                self._found = file.with_zone()
            progress("checking", position.done, position.total)
            behind += bool(profile.bad)
            if stop_early and behind > _CHUNKS_BEHIND and position.done < position.total:
                profile.incomplete = True
                break
        return profile

    def _check(
        self, keyed: Keyed, checks: Sequence[Check], duplicates: Duplicates
    ) -> tuple[BoolArray, DuplicateRows, list[Check]]:
        """Return the rows that state something new without a fault, the duplicates among those
        without one, and the checks with those of contradictions."""
        titles = [*([self._end_column] if self._end_column else []), *self._found.names]
        cells = [
            pc.if_else(pa.array(keyed.grades[t] == BAD), "of bad quality", keyed.cells[t])
            if t in keyed.grades
            else keyed.cells[t]
            for t in titles
        ]
        usable = ~bad_rows(checks, len(keyed.assets))
        duplicate_rows = duplicates.find(keyed.series, keyed.instants.at, cells, usable)
        why = "another value than on an earlier line of the same asset and time"
        contradicting = [
            Check(duplicate_rows.against == n, titles[n], lambda _: why)
            for n in np.unique(duplicate_rows.against[duplicate_rows.against >= 0]).tolist()
        ]
        return (
            usable & ~duplicate_rows.same & (duplicate_rows.against < 0),
            duplicate_rows,
            [*checks, *contradicting],
        )

    def _profile_columns(
        self, profile: Profile, keyed: Keyed, usable: BoolArray
    ) -> dict[str, tuple[BoolArray, FloatArray]]:
        """Count the cells of usable rows; return by title which are filled, and the numbers."""
        return {
            title: profile_column(
                column,
                keyed.chunk,
                keyed.cells[title],
                usable & (keyed.grades[title] < BAD) if title in keyed.grades else usable,
                self._found.numbers,
                keyed.floats.get(title),
            )
            for title, column in profile.columns.items()
        }

    def _chunks(self) -> Iterator[Keyed]:
        """Yield the table chunk by chunk: instants and assets checked, cells cleaned."""
        file = self._found
        self._stamps = file.times.new_stamps()
        keys = [*file.times.texts.columns, file.asset_column, *self._keys, *file.qualities]
        titles = dict.fromkeys((*keys, *file.names))
        for chunk in file.table.chunks([title for title in titles if title]):
            yield self._key_chunk(chunk)

    def _key_chunk(self, chunk: Chunk) -> Keyed:
        file = self._found
        floats: dict[str, FloatArray] = {}
        if file.numbers.decimal == "." and not file.form.missing:
            # columns that hold only plain numbers, none of which means missing
            parsed = {title: cell.plain_numbers(chunk.columns[title]) for title in file.names}
            floats = {title: numbers for title, numbers in parsed.items() if numbers is not None}
        form = file.numbers
        cells = {t: v if t in floats else self._clean(t, v) for t, v in chunk.columns.items()}
        for title in file.written.writings.keys() & cells.keys():
            cells[title] = file.written.plain(title, cells[title], form.decimal, form.thousands)
        codes = np.zeros(len(chunk.lines), dtype=np.int64)
        checks: list[Check] = []
        if file.asset_column is None:
            name = self._assets.read_option(str(file.form.asset), "--asset")
            self._asset_index = {name: 0}
        else:
            codes, checks = read_names(
                cells[file.asset_column], file.asset_column, self._assets, self._asset_index
            )
        assets = np.array([*self._asset_index, None], dtype=object)[codes]
        times = file.times.texts.join(cells)
        stamps = self._stamps
        instants = stamps.read(times, None if file.asset_column is None else assets)
        time = JOINED.join(file.times.texts.titles)
        nothing = "there is no number" if file.form.sequence else "there is no time"
        checks = [
            Check(instants.absent, time, lambda _: nothing),
            Check(instants.bad, time, lambda row: stamps.why(times[row].as_py())),
            *checks,
        ]
        grades = self._grade(cells, checks) if self._found.qualities else {}
        for title, worst in grades.items():
            if (worst == BAD).any():
                cells[title] = pc.if_else(pa.array(worst == BAD), None, cells[title])
                floats.pop(title, None)
        checks = [check for check in checks if check.bad.any()]
        return Keyed(chunk, instants, assets, codes, codes, cells, checks, floats, grades)

    def _clean(self, title: str, cells: Cells) -> Cells:
        further = (*MISSING_TEXTS, *self._found.form.missing)
        return cell.clean(cells, NULLS if title in self._found.qualities else further)

    def _grade(self, cells: Mapping[str, Cells], checks: list[Check]) -> dict[str, Grades]:
        """Return the grades of samples, and add the checks that all can be read.

        An empty quality cell means good. A bad row applies to its filled cells, or to all if none
        is filled.
        """
        by_value: dict[str | None, Grades] = {}
        for title, value in self._found.qualities.items():
            if value is None or value in self._found.names:
                encoded = cells[title].dictionary_encode()
                texts = encoded.dictionary.to_pylist()
                indices = encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
                graded = [_GRADES[grade(text, self._found.form.quality_codes)] for text in texts]
                by_value[value] = np.array([*graded, 0], np.int8)[indices]
                why = partial(self._why_no_quality, cells[title])
                checks.append(Check(by_value[value] < 0, title, why, of_quality=True))
        filled = {title: cell.filled_cells(cells[title]) for title in self._found.names}
        nothing = ~np.logical_or.reduce(list(filled.values()))
        of_row = by_value.get(None, np.zeros(len(nothing), np.int8))
        grades = {}
        for title, is_filled in filled.items():
            worst = np.where(is_filled | nothing, of_row, 0)
            worst = np.maximum(worst, by_value.get(title, 0))
            worst[(worst < BAD) & ~is_filled] = 0
            if (worst > 0).any():
                grades[title] = np.maximum(worst, 0)
        return grades

    def _why_no_quality(self, cells: Cells, row: int) -> str:
        return why_no_quality(cells[row].as_py(), self._found.form.quality_codes)

    def _values(self, keyed: Keyed, title: str, kind: VariableType) -> SampleColumn:
        """Return the samples of a column of this type; a category keeps its numbers as written."""
        cells = keyed.cells[title]
        if kind == "category" and (
            title in keyed.floats or self._found.written.writings.get(title)
        ):
            cells = self._clean(title, keyed.chunk.columns[title])
            if title in keyed.grades:
                cells = pc.if_else(pa.array(keyed.grades[title] == BAD), None, cells)
        form = self._found.numbers
        floats = keyed.floats.get(title)
        return cell.values(cells, kind, form.decimal, form.thousands, floats)[0]

    @abstractmethod
    def _new_profile(self, columns: dict[str, ColumnProfile]) -> P: ...

    @abstractmethod
    def _add(
        self, profile: P, keyed: Keyed, usable: BoolArray, duplicate_rows: DuplicateRows
    ) -> None: ...


def note_spacing(
    profile: Profile, keyed: Keyed, usable: BoolArray, filled: Mapping[str, BoolArray]
) -> None:
    """Find the columns whose values are much rarer than the lines, from the first such chunk."""
    rows = np.count_nonzero(usable)
    few = {title for title, present in filled.items() if 2 * np.count_nonzero(present) < rows}
    if rows < 20 or not few:
        return
    of_first = usable & (keyed.series == keyed.series[int(np.argmax(usable))])
    line_ms = _usual_step(keyed.instants.at[of_first])
    for title in few:
        column = profile.columns[title]
        present = filled[title]
        is_rare = 3 <= np.count_nonzero(present) < rows / _RARER
        if column.every_ms is None and line_ms and is_rare:
            every = _usual_step(keyed.instants.at[of_first & present])
            column.every_ms = every if every >= _RARER * line_ms else None


def _usual_step(at: Millis) -> int:
    steps = np.abs(np.diff(at))
    steps = steps[steps > 0]
    return int(np.median(steps)) if len(steps) > 1 else 0


BATCH = 10_000
# bytes; the cells of a file up to this size stay in memory between the check and the import
PARSED_ONCE = 48 << 20


class ReadingsFile(TableFile[Profile]):
    """A file of readings behind the port `ReadingSource`. Raises UserError for a missing column."""

    def __init__(self, path: Path, form: FileForm) -> None:
        super().__init__(path, find_form(path, form, units={}), form.duplicates)
        self._parsed: list[Keyed] | None = None
        self._size = 0

    def keep_names(self, titles: Titles, units: Units) -> None:
        """Give texts that are titles of assets, and columns of declared variables, the names of
        these; before the profile."""
        self._assets = TextNames("asset", self._found.form.asset_prefix, lambda: titles)
        self._found = self._found.with_units(units)

    def _new_profile(self, columns: dict[str, ColumnProfile]) -> Profile:
        self._parsed = []
        self._size = 0
        return Profile(columns, duplicates=self._rule)

    def _add(
        self, profile: Profile, keyed: Keyed, usable: BoolArray, duplicate_rows: DuplicateRows
    ) -> None:
        in_memory = (*keyed.floats.values(), *keyed.chunk.columns.values(), *keyed.cells.values())
        self._size += sum(int(values.nbytes) for values in in_memory)
        if self._size > PARSED_ONCE:
            self._parsed = None
        if self._parsed is not None:
            self._parsed.append(keyed)
        profile.repeated += int((duplicate_rows.same | duplicate_rows.again).sum())
        contradictions = int((duplicate_rows.against >= 0).sum())
        profile.contradictions += contradictions
        if (contradictions or duplicate_rows.again.any()) and not profile.distinguishing:
            # the column of texts that tells apart the first rows of one instant
            rows = np.flatnonzero(~bad_rows(keyed.checks, len(usable)))
            cells = {title: keyed.cells[title].take(rows) for title in self._found.names}
            profile.distinguishing = distinguishing_column(
                cells, keyed.assets[rows], keyed.instants.at[rows]
            )
        columns = self._profile_columns(profile, keyed, usable)
        filled = {title: present for title, (present, _) in columns.items()}
        note_spacing(profile, keyed, usable, filled)
        profile.rows += int((usable & ~duplicate_rows.again).sum())
        bad = {title: usable & (grades == BAD) for title, grades in keyed.grades.items()}
        states_any = np.logical_or.reduce([*filled.values(), *bad.values(), ~usable])
        profile.empty += int((~states_any).sum())
        for title, grades in keyed.grades.items():
            profile.columns[title].bad_quality += int(bad[title].sum())
            profile.columns[title].uncertain += int(((grades == UNCERTAIN) & usable).sum())
        names = [*self._asset_index]
        for title, mask in {"": usable, **filled}.items():
            for code in np.flatnonzero(np.bincount(keyed.asset_codes[mask])).tolist():
                of_asset = profile.assets.setdefault(names[code], set())
                if title:
                    of_asset.add(profile.columns[title].name)
        rows = profile.sample.choose(len(usable), len(columns))
        values = np.full((len(rows), len(columns)), np.nan)
        for i, (title, (present, floats)) in enumerate(columns.items()):
            if profile.columns[title].numbers:
                values[:, i] = np.where(present[rows], floats[rows], np.nan)
        profile.sample.add(keyed.assets[rows], keyed.instants.at[rows], values)

    def read(
        self, types: Mapping[str, VariableType], reject: Reject, progress: Progress
    ) -> Iterator[ReadingBatch]:
        """Yield batches of at most 10,000 readings in order; a thread parses the next one, while
        the caller works on the last one."""
        batches = self._read(types, reject, progress)
        with ThreadPoolExecutor(1) as worker:
            following = worker.submit(next, batches, None)
            while (batch := following.result()) is not None:
                following = worker.submit(next, batches, None)
                yield batch

    def _read(
        self, types: Mapping[str, VariableType], reject: Reject, progress: Progress
    ) -> Iterator[ReadingBatch]:
        parts = self._samples(types, reject, progress)
        for part in parts if self._rule == "refuse" else merge_duplicates(parts, self._rule):
            for start in range(0, len(part.at), BATCH):
                some = part.take(slice(start, start + BATCH))
                quality: dict[int, dict[str, Quality]] = {}
                for name, grades in some.grades.items():
                    for row in np.flatnonzero(grades).tolist():
                        quality.setdefault(row, {})[name] = _QUALITIES[grades[row]]
                yield ReadingBatch(some.assets, some.at, some.columns, quality)

    def _samples(
        self, types: Mapping[str, VariableType], reject: Reject, progress: Progress
    ) -> Iterator[GradedRows]:
        """Yield the rows that state anything, without bad lines, which are passed to `reject`."""
        duplicates = Duplicates(self._rule)
        names = self._found.names
        for keyed in self._chunks_again():
            columns = {names[t]: self._values(keyed, t, kind) for t, kind in types.items()}
            usable, _, checks = self._check(keyed, keyed.checks, duplicates)
            for line in bad_lines(keyed.chunk, checks):
                reject(line)
            good = np.zeros(len(usable), np.int8)
            grades = {names[t]: keyed.grades.get(t, good) for t in types}
            stated = [columns[name].present | (grades[name] > 0) for name in columns]
            usable &= np.logical_or.reduce([*stated, np.zeros_like(usable)])
            samples = GradedRows(keyed.assets, keyed.instants.at, columns, grades)
            yield samples if usable.all() else samples.take(np.flatnonzero(usable))
            progress("writing", self._found.table.position.done, self._found.table.position.total)

    def _chunks_again(self) -> Iterator[Keyed]:
        """Yield the checked chunks, perhaps parsed again. Raises UserError if they changed."""
        parsed = self._parsed
        self._parsed = None
        if parsed is None:
            yield from self._chunks()
            return
        position = self._found.table.position
        position.reopen()
        for i, keyed in enumerate(parsed, 1):
            position.done = position.total * i // len(parsed)
            yield keyed


DEFAULT_TYPE_COLUMN = "type"
DEFAULT_END_COLUMN = "end"
ORIGIN = "import"


class EventsFile(TableFile[EventsProfile]):
    """A file of events behind the port `EventSource`. Raises UserError for a missing column."""

    def __init__(self, path: Path, form: FileForm) -> None:
        titles = open_table(path, form).titles
        default = DEFAULT_END_COLUMN if DEFAULT_END_COLUMN in titles else None
        self._type = form.event_type
        self._types = TextNames("event type", form.type_prefix)
        if form.event_type:
            self._types.read_option(form.event_type, "--type")  # refused before the file is read
        self._type_column = None if form.event_type else form.type_column or DEFAULT_TYPE_COLUMN
        options = {
            self._type_column: "--type-column (or name one type with --type)",
            form.end_column or default: "--end-column",
        }
        keys = {title: option for title, option in options.items() if title}
        super().__init__(path, find_form(path, form, [*keys.items()]))
        self._keys = [*keys]
        self._end_column = form.end_column or default

    def keep_names(self, titles: Titles, types: Titles) -> None:
        """Give texts that are titles of assets or event types the names of these; before the
        profile."""
        self._assets = TextNames("asset", self._found.form.asset_prefix, lambda: titles)
        self._types = TextNames("event type", self._types.prefix, lambda: types)

    def _new_profile(self, columns: dict[str, ColumnProfile]) -> EventsProfile:
        stamps = [t for t in self._found.names if contains_stamps(self._found.sample[t], t)]
        return EventsProfile(
            columns,
            end_column=self._end_column is not None,
            stamps=stamps,
            type_texts=self._types.texts,
        )

    def _add(
        self, profile: EventsProfile, keyed: Keyed, usable: BoolArray, duplicate_rows: DuplicateRows
    ) -> None:
        profile.repeated += int(duplicate_rows.same.sum())
        profile.rows += int(usable.sum())
        self._profile_columns(profile, keyed, usable)
        for asset in dict.fromkeys(keyed.assets[usable].tolist()):
            profile.assets.setdefault(asset, set())
        for name in dict.fromkeys(keyed.types[usable].tolist()):
            of_type = profile.types.setdefault(name, EventTypeProfile())
            check = self._ends_check(keyed, usable & (keyed.types == name))
            of_type.ends += int(check.bad.sum())
            examples = EXAMPLES - len(of_type.first_ends)
            of_type.first_ends += faulty_lines(keyed.chunk, [check], examples)

    def _chunks(self) -> Iterator[Keyed]:
        types: dict[str, int] = {}
        series: dict[tuple[int, int], int] = {}
        for keyed in super()._chunks():
            checks = list(keyed.checks)
            codes = np.zeros(len(keyed.assets), dtype=np.int64)
            if self._type:
                types = {self._types.read_option(self._type, "--type"): 0}
            elif self._type_column:
                title = self._type_column
                codes, type_checks = read_names(keyed.cells[title], title, self._types, types)
                checks += type_checks
            ends = None
            if self._end_column:
                ends = self._stamps.ends(keyed.cells[self._end_column], keyed.instants.at)
                checks += self._end_checks(self._end_column, keyed, ends)
            pairs = zip(keyed.asset_codes.tolist(), codes.tolist(), strict=True)
            yield replace(
                keyed,
                series=np.array([series.setdefault(p, len(series)) for p in pairs], np.int64),
                checks=checks,
                types=np.array([*types, None], dtype=object)[codes],
                ends=ends,
            )

    def _end_checks(self, title: str, keyed: Keyed, ends: Instants) -> list[Check]:
        cells = keyed.cells[title]
        reader = self._stamps
        early = ~ends.absent & ~ends.bad & (ends.at < keyed.instants.at)
        return [
            Check(ends.bad, title, lambda row: reader.why(cells[row].as_py())),
            Check(
                early,
                title,
                lambda row: f"the end {shown(cells[row].as_py())} lies before the start",
            ),
        ]

    def _ends_check(self, keyed: Keyed, among: BoolArray) -> Check:
        """Return the check that instant events have no end after their start."""
        why = "an instant event has no end; add --lasting if events of this type have a duration"
        bad = np.zeros_like(among)
        if keyed.ends is not None:
            bad = among & ~keyed.ends.absent & (keyed.ends.at != keyed.instants.at)
        return Check(bad, self._end_column or "", lambda _: why)

    def read(
        self,
        types: Mapping[str, VariableType],
        durations: Mapping[str, Duration],
        reject: Reject,
        progress: Progress,
    ) -> Iterator[Sequence[EventRow]]:
        """Yield the events chunk by chunk, in file order."""
        duplicates = Duplicates()
        names = [self._found.names[title] for title in types]
        for keyed in self._chunks():
            instant = np.array([durations.get(t) == "instant" for t in keyed.types], dtype=bool)
            checks = [*keyed.checks, self._ends_check(keyed, instant)]
            columns = [self._values(keyed, t, kind).tolist() for t, kind in types.items()]
            usable, _, checks = self._check(keyed, checks, duplicates)
            for line in bad_lines(keyed.chunk, checks):
                reject(line)
            ends: list[datetime | None] = [None] * len(usable)
            if keyed.ends is not None:
                absent = keyed.ends.absent
                stated = datetimes(np.where(absent | ~usable, 0, keyed.ends.at))
                ends = [None if no else end for no, end in zip(absent, stated, strict=True)]
            starts = datetimes(np.where(usable, keyed.instants.at, 0))
            events = [
                EventRow(
                    asset=keyed.assets[row],
                    type=keyed.types[row],
                    start=starts[row],
                    end=starts[row] if instant[row] else ends[row],
                    source=ORIGIN,
                    attributes={
                        name: column[row]
                        for name, column in zip(names, columns, strict=True)
                        if column[row] is not None
                    },
                )
                for row in np.flatnonzero(usable).tolist()
            ]
            if events:
                yield events
            progress("writing", self._found.table.position.done, self._found.table.position.total)


def open_rows(
    path: Path, form: FileForm, rows: What, *, skip_bad: bool = False, name: str | None = None
) -> ReadingsFile | EventsFile:
    """Return the rows of a file, to be checked. `name`: of the file in messages; else its path.
    Raises UserError if it is no such table, or if its form cannot be as it is stated."""
    refuse_sequence(form, rows, skip_bad=skip_bad)
    source = EventsFile(path, form) if rows == "events" else ReadingsFile(path, form)
    source.name = name or source.name
    return source
