"""Search for lines of one file that state the same instant of the same asset twice."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from alerting.adapters.files.cells import NO_INSTANT, BoolArray, Cells
from alerting.readings.history import Millis


@dataclass(frozen=True)
class Found:
    """Duplicates of a chunk.

    `same`: rows that add nothing to an earlier row. `contradictions`: rows, with the column in which they contradict it.
    """

    same: BoolArray
    contradictions: dict[int, int]


class Duplicates:
    """Comparison of rows within a chunk, and with the last earlier row of the same series (an asset, or asset and event type).

    It stores one row per series only. It finds every repetition in a file sorted by time, or by asset and time. The store merges
    a repetition that lies further apart in an unsorted file; there the later line wins.
    """

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._last_at: Millis = np.empty(0, dtype=np.int64)
        self._last: list[Cells] = []

    def find(self, series: npt.NDArray[np.object_], at: Millis, cells: Sequence[Cells], usable: BoolArray) -> Found:
        """Compare the usable rows of the next chunk by cell: 1.0 and 1.00 are the same, a missing cell contradicts none."""
        rows = np.flatnonzero(usable)
        codes = self._encode(series[rows])
        instants = pd.DataFrame({"code": codes, "at": at[rows]})
        suspicious = np.flatnonzero(instants.duplicated(keep=False).to_numpy() | (self._last_at[codes] == at[rows]))
        found = Found(np.zeros(len(at), dtype=bool), {})
        compared: dict[tuple[int, int], list[str | None]] = {}
        for i in suspicious:
            key, row = (int(codes[i]), int(at[rows[i]])), int(rows[i])
            now = [column[row].as_py() for column in cells]
            before = compared.get(key) or self._last_cells(*key)
            compared[key] = _compare(found, row, before, now) if before else now
        self._carry(codes, at, rows, cells)
        return found

    def _encode(self, series: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
        codes, names = pd.factorize(series)
        asset_codes = np.array([self._codes.setdefault(n, len(self._codes)) for n in names], dtype=np.int64)
        new = len(self._codes) - len(self._last_at)
        self._last_at = np.concatenate([self._last_at, np.full(new, NO_INSTANT, dtype=np.int64)])
        return asset_codes[codes] if len(codes) else np.empty(0, dtype=np.int64)

    def _last_cells(self, code: int, at: int) -> list[str | None] | None:
        return [column[code].as_py() for column in self._last] if self._last_at[code] == at else None

    def _carry(self, codes: npt.NDArray[np.int64], at: Millis, rows: npt.NDArray[np.int64], cells: Sequence[Cells]) -> None:
        if not len(rows):
            return
        last = np.full(len(self._codes), -1, dtype=np.int64)
        last[codes] = rows  # of several rows of a series, the last one is stored
        here = np.flatnonzero(last >= 0)
        self._last_at[here] = at[last[here]]
        before = len(self._last[0]) if self._last else 0
        source = np.arange(len(self._codes))
        source[here] = before + np.arange(len(here))
        old = self._last or [pa.array([], pa.string()) for _ in cells]
        self._last = [
            pc.take(pa.concat_arrays([earlier, pc.take(column, pa.array(last[here]))]), pa.array(source))
            for earlier, column in zip(old, cells, strict=True)
        ]


def _compare(found: Found, row: int, before: list[str | None], now: list[str | None]) -> list[str | None]:
    """Record how this row relates to the earlier one; return the union of both."""
    against = next((i for i, (a, b) in enumerate(zip(before, now, strict=True)) if a and b and not _equal(a, b)), None)
    if against is not None:
        found.contradictions[row] = against
        return before
    if all(a or not b for a, b in zip(before, now, strict=True)):
        found.same[row] = True
    return [a or b for a, b in zip(before, now, strict=True)]


def _equal(a: str, b: str) -> bool:
    if a == b:
        return True
    try:
        return float(a.replace(",", ".")) == float(b.replace(",", "."))
    except ValueError:
        return False
