"""Profile of a file from its first pass, for readings and events alike."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from alerting.adapters.files.cells import BoolArray, Cells
from alerting.adapters.files.checks import EXAMPLES, Check, bad_lines, bad_rows, duplicate_checks
from alerting.adapters.files.duplicates import Duplicates, Found
from alerting.adapters.files.rows import Keyed, TableRows
from alerting.deferred import pd
from alerting.definitions.faults import storable
from alerting.ports import Progress
from alerting.readings.history import Millis, from_millis
from alerting.readings.inference import ColumnProfile
from alerting.usecases.ingestion.sources import DuplicatesRule, FileForm, Profile


class HasKeys(Protocol):
    """A chunk with more than the keys of its rows."""

    @property
    def keyed(self) -> Keyed: ...


C = TypeVar("C", bound=Keyed | HasKeys)
P = TypeVar("P", bound=Profile)
_CHUNKS_BEHIND = 4
_ENDS = 1000
_RARER = 5  # times; a value that is this much rarer than the lines is a slow measurement, not a gap


def note_chunk(profile: Profile, keyed: Keyed, checks: Sequence[Check], usable: BoolArray) -> None:
    """Count lines, bad lines and assumptions about time stamps, and extend the time interval."""
    profile.lines += len(keyed.at) + len(keyed.chunk.broken)
    profile.bad += int(bad_rows(checks, len(keyed.at)).sum()) + len(keyed.chunk.broken)
    if len(profile.first_bad) < EXAMPLES:
        profile.first_bad.extend(bad_lines(keyed.chunk, checks, EXAMPLES - len(profile.first_bad)))
    profile.zoneless += keyed.instants.zoneless
    profile.cut += keyed.instants.cut
    if usable.any():
        first = from_millis(int(keyed.at[usable].min()))
        last = from_millis(int(keyed.at[usable].max()))
        profile.first = min(first, profile.first or first)
        profile.last = max(last, profile.last or last)
        ends = np.sort(np.append(profile.ends, keyed.at[usable]))
        profile.ends = np.append(ends[:_ENDS], ends[_ENDS:][-_ENDS:])


class TableFile(ABC, Generic[C, P]):
    """A file of rows, in chunks, that is read once to check and once to import."""

    def __init__(self, path: Path, rows: TableRows, rule: DuplicatesRule = "refuse") -> None:
        self.name = storable(str(path))
        self.unit = rows.table.unit
        self._rows = rows
        self._rule = rule

    @property
    def form(self) -> FileForm:
        """Return the format of the file; final after the profile."""
        return self._rows.form

    def profile(self, progress: Progress, *, stop_early: bool = False) -> P:
        """Read the whole file once and store only counts, names, and the first few bad lines.

        `stop_early`: stop soon after the first bad line.
        """
        while (found := self._profile_once(progress, stop_early)) is None:
            pass
        clock = self._rows.stamps.clock
        found.head_notes = self._rows.table.notes
        found.asset_texts = self._rows.assets.texts
        if clock is not None:
            found.zone = clock.zone.key
            found.clock_changes = {
                day: (change.first, change.second) for day, change in clock.changes.items()
            }
        return found

    def _profile_once(self, progress: Progress, stop_early: bool) -> P | None:
        """Return the profile of one pass; None if the file's format is not the assumed one."""
        rows = self._rows
        columns = {title: ColumnProfile(title, name) for title, name in rows.names.items()}
        profile = self._new_profile(columns)
        duplicates = Duplicates(self._rule)
        behind = 0
        for chunk in self._chunks():
            self._add(profile, duplicates, chunk)
            keyed = chunk if isinstance(chunk, Keyed) else chunk.keyed
            if rows.revise(keyed, columns.values()):
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
    ) -> tuple[Found, list[Check]]:
        """Return the duplicates among rows without a fault, and the checks with theirs."""
        series, at, cells = self._compared(chunk)
        found = duplicates.find(series, at, [*cells.values()], ~bad_rows(checks, len(at)))
        contradictions = duplicate_checks(len(at), found.contradictions, [*cells])
        return found, [*checks, *contradictions]

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
    one = usable & (keyed.assets == keyed.assets[int(np.argmax(usable))])
    line_ms = _usual_step(keyed.at[one])
    for column in profile.columns.values():
        present = filled[column.name]
        if (
            column.every_ms is not None
            or not line_ms
            or not 3 <= np.count_nonzero(present) < rows / _RARER
        ):
            continue
        every = _usual_step(keyed.at[one & present])
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
