"""Profile of a file from its first pass, for readings and events alike."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from alerting.adapters.files.cells import BoolArray
from alerting.adapters.files.checks import EXAMPLES, Check, bad_lines, bad_rows
from alerting.adapters.files.rows import Keyed, TableRows
from alerting.adapters.files.tables.text import Position
from alerting.deferred import pd
from alerting.readings.history import Millis, from_millis
from alerting.usecases.ingestion.sources import Profile

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


class Patience:
    """Limit of the search for further bad lines in a refused file: a distance behind the first."""

    def __init__(self, position: Position, stop_early: bool) -> None:
        self._position = position
        self._hasty = stop_early
        self._read = 0

    def ends(self, profile: Profile) -> bool:
        """Return whether the search ends; called after each chunk."""
        if not self._hasty or not profile.bad:
            return False
        self._read += 1
        profile.incomplete = (
            self._read > _CHUNKS_BEHIND and self._position.done < self._position.total
        )
        return profile.incomplete


def note_file(profile: Profile, rows: TableRows) -> None:
    """Record what the head of the file holds, and the changes of the clock that stamps show."""
    profile.head_notes = rows.table.notes
    clock = rows.stamps.clock
    if clock is None:
        return
    profile.zone = clock.zone.key
    profile.clock_changes = {
        day: (change.first, change.second) for day, change in clock.changes.items()
    }


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
