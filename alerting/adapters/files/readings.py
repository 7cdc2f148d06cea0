"""Readings in a CSV or Parquet file: one line per asset and instant, one column per variable."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import BoolArray
from alerting.adapters.files.checks import Check, bad_lines, bad_rows, duplicate_checks, type_check
from alerting.adapters.files.column_profile import profile_column
from alerting.adapters.files.duplicates import Duplicates, Found, merge_duplicates
from alerting.adapters.files.prefetch import prefetch
from alerting.adapters.files.profile import (
    Patience,
    count_filled,
    note_chunk,
    note_file,
    note_spacing,
)
from alerting.adapters.files.quality_columns import Qualities
from alerting.adapters.files.rows import Keyed, Layout, TableRows
from alerting.adapters.files.tables.parquet_table import ParquetTable
from alerting.definitions.assets import VariableType
from alerting.definitions.faults import storable
from alerting.ports import Progress, ReadingBatch
from alerting.readings.column_titles import Units
from alerting.readings.inference import ColumnProfile
from alerting.readings.sample_quality import Quality
from alerting.usecases.ingestion.sources import Profile, Reject
from alerting.usecases.ingestion.text_names import Titles
from alerting.usecases.ingestion.understood import FileForm

BATCH = 10_000
# bytes; the cells of a file up to this size stay in memory between the check and the import
PARSED_ONCE = 48 << 20


class ReadingsFile:
    """A file of readings behind the port `ReadingSource`. Raises UserError for a missing column."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._rows = TableRows(path, layout, units={})
        self.name = storable(str(path))
        self.unit = self._rows.table.unit
        self.strict = layout.strict
        self._rule = layout.duplicates
        self._parsed: list[Keyed] | None = None

    @property
    def form(self) -> FileForm:
        """Return the format of the file; final after the profile."""
        return self._rows.form

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

    def profile(self, progress: Progress, *, stop_early: bool = False) -> Profile:
        """Read the whole file once and store only counts, names, and the first few bad lines.

        `stop_early`: stop soon after the first bad line.
        """
        while (profile := self._profile_once(progress, stop_early)) is None:
            pass
        return profile

    def _profile_once(self, progress: Progress, stop_early: bool) -> Profile | None:
        """Return the profile of one pass; None if the file's format is not the assumed one."""
        columns = {title: ColumnProfile(title, name) for title, name in self._rows.names.items()}
        profile = Profile(columns, strict=self.strict, duplicates=self._rule)
        duplicates = Duplicates(self._rule)
        patience = Patience(self._rows.table.position, stop_early)
        parsed: list[Keyed] = []
        size = 0
        for keyed in self._rows.chunks():
            self._profile_chunk(profile, duplicates, keyed)
            size += keyed.size
            if size <= PARSED_ONCE:
                parsed.append(keyed)
            else:
                parsed.clear()
            if self._rows.revise(keyed, profile.columns.values()):
                return None
            progress("checking", self._rows.table.position.done, self._rows.table.position.total)
            if patience.ends(profile):
                break
        note_file(profile, self._rows)
        profile.asset_texts = self._rows.assets.texts
        self._parsed = parsed if size <= PARSED_ONCE and not profile.incomplete else None
        return profile

    def _profile_chunk(self, profile: Profile, duplicates: Duplicates, keyed: Keyed) -> None:
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

    def _find_duplicates(
        self, duplicates: Duplicates, keyed: Keyed, checks: list[Check]
    ) -> tuple[Found, list[Check]]:
        titles = list(self._rows.names)
        cells = [keyed.quality.comparable(t, keyed.cells[t]) for t in titles]
        found = duplicates.find(keyed.assets, keyed.at, cells, ~bad_rows(checks, len(keyed.at)))
        return found, [*checks, *duplicate_checks(len(keyed.at), found.contradictions, titles)]

    def read(
        self, types: Mapping[str, VariableType], reject: Reject, progress: Progress
    ) -> Iterator[ReadingBatch]:
        """Yield batches of at most 10,000 readings in order; a thread parses the next one."""
        batches = self._read(types, reject, progress)
        return prefetch(
            batches if self._rule == "refuse" else merge_duplicates(batches, self._rule)
        )

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
        checks = list(keyed.checks)
        columns = {}
        for title, kind in types.items():
            numbers = self._rows.numbers
            found, bad = cell.values(
                keyed.cells[title],
                kind,
                numbers.decimal,
                numbers.thousands,
                keyed.floats.get(title),
            )
            columns[self._rows.names[title]] = found
            if self.strict:
                checks.append(type_check(keyed.cells[title], title, bad, kind))
        duplicate, checks = self._find_duplicates(duplicates, keyed, checks)
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
