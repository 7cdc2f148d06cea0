"""Search for lines that state an instant of an asset twice, and merge them where wanted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alerting.adapters.files.cells import NO_INSTANT, BoolArray, Cells
from alerting.deferred import pa, pc, pd
from alerting.ports import ReadingBatch, SampleColumn
from alerting.readings.history import Millis, Quality
from alerting.usecases.ingestion.sources import DuplicatesRule

Rows = npt.NDArray[np.int64]
_GRADES: tuple[Quality, Quality] = ("bad", "uncertain")


@dataclass(frozen=True)
class Found:
    """Duplicates of a chunk.

    `same`: rows that add nothing to an earlier row. `contradictions`: rows, with the column in
    which they contradict it. `again`: rows of an instant that an earlier row states, to be merged
    with it.
    """

    same: BoolArray
    contradictions: dict[int, int]
    again: BoolArray


class Duplicates:
    """Comparison of rows within a chunk, and with the last earlier row of the same series (an
    asset, or asset and event type).

    It stores one row per series only. It finds every repetition in a file sorted by time, or by
    asset and time. The store merges a repetition that lies further apart in an unsorted file; there
    the later line wins. `rule`: rows are compared only where a contradiction is refused.
    """

    def __init__(self, rule: DuplicatesRule = "refuse") -> None:
        self._rule = rule
        self._codes: dict[str, int] = {}
        self._last_at: Millis = np.empty(0, dtype=np.int64)
        self._last: list[Cells] = []

    def find(
        self, series: npt.NDArray[np.object_], at: Millis, cells: Sequence[Cells], usable: BoolArray
    ) -> Found:
        """Compare the usable rows of the next chunk: 1.0 equals 1.00, a missing cell equals all."""
        rows = np.flatnonzero(usable)
        codes = self._encode(series[rows])
        instants = pd.DataFrame({"code": codes, "at": at[rows]})
        is_last = self._last_at[codes] == at[rows]
        found = Found(np.zeros(len(at), dtype=bool), {}, np.zeros(len(at), dtype=bool))
        if self._rule != "refuse":
            found.again[rows[instants.duplicated().to_numpy() | is_last]] = True
            self._last_at[codes] = at[rows]
            return found
        suspicious = np.flatnonzero(instants.duplicated(keep=False).to_numpy() | is_last)
        compared: dict[tuple[int, int], list[str | None]] = {}
        for i in suspicious:
            key = (int(codes[i]), int(at[rows[i]]))
            row = int(rows[i])
            now = [column[row].as_py() for column in cells]
            before = compared.get(key) or self._last_cells(*key)
            compared[key] = _compare(found, row, before, now) if before else now
        self._carry(codes, at, rows, cells)
        return found

    def _encode(self, series: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
        codes, names = pd.factorize(series)
        asset_codes = np.array(
            [self._codes.setdefault(n, len(self._codes)) for n in names], dtype=np.int64
        )
        new = len(self._codes) - len(self._last_at)
        self._last_at = np.concatenate([self._last_at, np.full(new, NO_INSTANT, dtype=np.int64)])
        return asset_codes[codes] if len(codes) else np.empty(0, dtype=np.int64)

    def _last_cells(self, code: int, at: int) -> list[str | None] | None:
        return (
            [column[code].as_py() for column in self._last] if self._last_at[code] == at else None
        )

    def _carry(
        self,
        codes: npt.NDArray[np.int64],
        at: Millis,
        rows: npt.NDArray[np.int64],
        cells: Sequence[Cells],
    ) -> None:
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
            pc.take(
                pa.concat_arrays([earlier, pc.take(column, pa.array(last[here]))]), pa.array(source)
            )
            for earlier, column in zip(old, cells, strict=True)
        ]


def _compare(
    found: Found, row: int, before: list[str | None], now: list[str | None]
) -> list[str | None]:
    """Record how this row relates to the earlier one; return the union of both."""
    against = next(
        (
            i
            for i, (a, b) in enumerate(zip(before, now, strict=True))
            if a and b and not _equal(a, b)
        ),
        None,
    )
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


def merge_duplicates(
    batches: Iterable[ReadingBatch], rule: DuplicatesRule
) -> Iterator[ReadingBatch]:
    """Yield the batches with one row for each instant of an asset: its last sample of each
    variable, or the mean of its numbers.

    The rows of the last instant of each asset wait for the next batch.
    """
    waiting: ReadingBatch | None = None
    for batch in batches:
        rows = batch if waiting is None else _join(waiting, batch)
        codes, names = pd.factorize(rows.assets)
        last = np.empty(len(names), dtype=np.int64)
        last[codes] = rows.at
        waits = last[codes] == rows.at
        waiting = _take(rows, np.flatnonzero(waits))
        if not waits.all():
            yield _merge(_take(rows, np.flatnonzero(~waits)), rule)
    if waiting is not None:
        yield _merge(waiting, rule)


def _merge(batch: ReadingBatch, rule: DuplicatesRule) -> ReadingBatch:
    keys = pd.DataFrame({"asset": batch.assets, "at": batch.at})
    first = np.flatnonzero(~keys.duplicated().to_numpy())
    if len(first) == len(batch):
        return batch
    group = np.asarray(keys.groupby(["asset", "at"], sort=False).ngroup(), dtype=np.int64)
    columns: dict[str, SampleColumn] = {}
    quality: dict[int, dict[str, Quality]] = {}
    for name, column in batch.columns.items():
        bad, uncertain = (
            np.array([batch.quality.get(row, {}).get(name) == grade for row in range(len(batch))])
            for grade in _GRADES
        )
        is_mean = rule == "mean" and column.values.dtype == np.float64
        merge = _mean_of_group if is_mean else _last_of_group
        columns[name], *graded = merge(column, bad, uncertain, group, len(first))
        for grade, mask in zip(_GRADES, graded, strict=True):
            for row in np.flatnonzero(mask).tolist():
                quality.setdefault(row, {})[name] = grade
    return ReadingBatch(batch.assets[first], batch.at[first], columns, quality)


def _last_of_group(
    column: SampleColumn, bad: BoolArray, uncertain: BoolArray, group: Rows, groups: int
) -> tuple[SampleColumn, BoolArray, BoolArray]:
    """Return each group's last sample, also a bad one; which are bad, and which uncertain."""
    last = np.full(groups, -1, dtype=np.int64)
    sampled = np.flatnonzero(column.present | bad)
    last[group[sampled]] = sampled
    there = last >= 0
    return (
        SampleColumn(column.values[last], there & column.present[last]),
        there & bad[last],
        there & uncertain[last],
    )


def _mean_of_group(
    column: SampleColumn, bad: BoolArray, uncertain: BoolArray, group: Rows, groups: int
) -> tuple[SampleColumn, BoolArray, BoolArray]:
    """Return each group's mean; without one, if a sample is bad; and if one is uncertain."""
    rows = np.flatnonzero(column.present)
    count = np.bincount(group[rows], minlength=groups)
    one = np.zeros(groups)
    one[group[rows]] = column.values[rows]  # the mean of equal values is that value, exactly
    beyond = np.bincount(
        group[rows], weights=column.values[rows] - one[group[rows]], minlength=groups
    )
    is_bad, is_uncertain = (
        np.bincount(group[mask], minlength=groups) > 0 for mask in (bad, uncertain & column.present)
    )
    return (
        SampleColumn(one + beyond / np.maximum(count, 1), count > 0),
        is_bad & (count == 0),
        is_uncertain,
    )


def _take(batch: ReadingBatch, rows: Rows) -> ReadingBatch:
    new = {int(row): i for i, row in enumerate(rows)} if batch.quality else {}
    quality = {new[row]: grades for row, grades in batch.quality.items() if row in new}
    columns = {name: column.take(rows) for name, column in batch.columns.items()}
    return ReadingBatch(batch.assets[rows], batch.at[rows], columns, quality)


def _join(first: ReadingBatch, second: ReadingBatch) -> ReadingBatch:
    columns = {
        name: SampleColumn(
            np.concatenate([a.values, b.values]), np.concatenate([a.present, b.present])
        )
        for (name, a), b in zip(first.columns.items(), second.columns.values(), strict=True)
    }
    quality = {
        **first.quality,
        **{row + len(first): grades for row, grades in second.quality.items()},
    }
    return ReadingBatch(
        np.append(first.assets, second.assets), np.append(first.at, second.at), columns, quality
    )
