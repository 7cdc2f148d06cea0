"""Readings in a CSV or Parquet file: one line per asset and instant, one column per variable."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import BoolArray
from alerting.adapters.files.checks import bad_lines, bad_rows, profile_column
from alerting.adapters.files.duplicates import Duplicates, merge_duplicates
from alerting.adapters.files.profile import TableFile, count_filled, note_chunk, note_spacing
from alerting.adapters.files.rows import Keyed, Layout, Qualities, TableRows
from alerting.adapters.files.tables.parquet_table import ParquetTable
from alerting.definitions.assets import VariableType
from alerting.ports import Progress, ReadingBatch
from alerting.readings.column_titles import Units
from alerting.readings.history import Millis, Quality
from alerting.readings.inference import ColumnProfile
from alerting.usecases.ingestion.sources import Profile, Reject
from alerting.usecases.ingestion.text_names import Titles

BATCH = 10_000
# bytes; the cells of a file up to this size stay in memory between the check and the import
PARSED_ONCE = 48 << 20


class ReadingsFile(TableFile[Keyed, Profile]):
    """A file of readings behind the port `ReadingSource`. Raises UserError for a missing column."""

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, TableRows(path, layout, units={}), layout.duplicates)
        self._parsed: list[Keyed] | None = None
        self._size = 0

    def keep_names(self, titles: Titles, units: Units) -> None:
        """Give texts that are titles of assets, and columns of declared variables, the names of
        these; before the profile."""
        self._rows.keep_names(titles, units)

    def newest_instant(self) -> datetime | None:
        """Return the newest instant that the file states without being read; None if it does
        not."""
        table = self._rows.table
        if not isinstance(table, ParquetTable) or len(self._rows.times) != 1:
            return None
        return table.newest_instant(self._rows.times[0])

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
        found, checks = self._find_duplicates(duplicates, keyed, keyed.checks)
        usable = ~bad_rows(checks, len(keyed.at)) & ~found.same
        note_chunk(profile, keyed, checks, usable)
        profile.repeated += int((found.same | found.again).sum())
        profile.contradictions += len(found.contradictions)
        no_values = keyed.quality.bad
        filled = {
            c.name: profile_column(
                c,
                keyed.chunk,
                keyed.cells[c.title],
                usable & ~no_values[c.title] if c.title in no_values else usable,
                self._rows.numbers,
                keyed.floats.get(c.title),
            )
            for c in profile.columns.values()
        }
        note_spacing(profile, keyed, usable, filled)
        profile.rows += int((usable & ~found.again).sum())
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

    def _compared(
        self, keyed: Keyed
    ) -> tuple[npt.NDArray[np.object_], Millis, dict[str, cell.Cells]]:
        comparable = keyed.quality.comparable
        cells = {title: comparable(title, keyed.cells[title]) for title in self._rows.names}
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
        columns = {}
        for title, kind in types.items():
            numbers = self._rows.numbers
            columns[self._rows.names[title]], _ = cell.values(
                keyed.cells[title],
                kind,
                numbers.decimal,
                numbers.thousands,
                keyed.floats.get(title),
            )
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
            quality = _qualities(keyed.quality, {t: self._rows.names[t] for t in types}, some)
            samples = {name: column.take(some) for name, column in columns.items()}
            yield ReadingBatch(keyed.assets[some], keyed.at[some], samples, quality)


def _qualities(
    quality: Qualities, names: Mapping[str, str], rows: npt.NDArray[np.int64]
) -> dict[int, dict[str, Quality]]:
    """Return the quality of samples that are not good, by position among the rows and variable."""
    found: dict[int, dict[str, Quality]] = {}
    masks: tuple[tuple[Quality, Mapping[str, BoolArray]], ...] = (
        ("bad", quality.bad),
        ("uncertain", quality.uncertain),
    )
    for grade, by_title in masks:
        for title in by_title.keys() & names.keys():
            for position in np.flatnonzero(by_title[title][rows]).tolist():
                found.setdefault(position, {})[names[title]] = grade
    return found
