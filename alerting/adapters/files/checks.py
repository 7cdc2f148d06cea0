"""Checks of the rows of a chunk and of names in it, the search for lines that state an instant of
an asset twice, and the file of the lines that an import rejects. Lines that are there twice are
merged where that is wanted."""

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import NO_INSTANT, BoolArray, Cells, FloatArray
from alerting.adapters.files.chunks import Chunk
from alerting.adapters.files.recognition import NumberForm
from alerting.deferred import pa, pc, pd
from alerting.definitions.asset_documents import VariableType
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import DuplicatesRule
from alerting.definitions.wording.clean_text import spreadsheet_text
from alerting.ports import ReadingBatch, SampleColumn
from alerting.readings.foreign_columns import BadLine, ColumnProfile
from alerting.readings.history import MOST_MEASURED, Millis, Quality
from alerting.usecases.ingestion.asset_import import TextNames

EXAMPLES = 5


@dataclass(frozen=True)
class Check:
    """One possible fault of rows of a chunk: a mask of the rows, the column, and the reason."""

    bad: BoolArray
    column: str
    why: Callable[[int], str]


def bad_rows(checks: Sequence[Check], rows: int) -> BoolArray:
    """Return a mask of the rows in which any check fails."""
    return np.logical_or.reduce([c.bad for c in checks]) if checks else np.zeros(rows, dtype=bool)


def faulty_lines(chunk: Chunk, checks: Sequence[Check], limit: int | None = None) -> list[BadLine]:
    """Return all lines that fail a check, each with its first reason; or the first `limit` as
    examples, without their text: there may be some for each of thousands of columns."""
    lines = []
    for row in map(int, np.flatnonzero(bad_rows(checks, len(chunk.lines)))[:limit]):
        check = next(c for c in checks if c.bad[row])
        text = chunk.original(row) if limit is None else ""
        lines.append(BadLine(int(chunk.lines[row]), check.column, check.why(row), text))
    return lines


def bad_lines(chunk: Chunk, checks: Sequence[Check], limit: int | None = None) -> list[BadLine]:
    """Return the lines of `faulty_lines`, and those of the chunk that are no whole row."""
    return sorted(
        [*chunk.broken[:limit], *faulty_lines(chunk, checks, limit)], key=lambda line: line.line
    )[:limit]


def type_check(cells: Cells, title: str, bad: BoolArray, type: VariableType) -> Check:
    """Return the check that the cells of a column are values of its type."""
    return Check(bad, title, lambda row: cell.why_bad(cells[row].as_py(), type))


def duplicate_checks(
    rows: int, contradictions: Mapping[int, int], titles: Sequence[str]
) -> list[Check]:
    """Return the checks that no line contradicts an earlier one of the same instant."""
    checks = []
    for index in sorted(set(contradictions.values())):
        bad = np.zeros(rows, dtype=bool)
        bad[[row for row, i in contradictions.items() if i == index]] = True
        checks.append(
            Check(
                bad,
                titles[index],
                lambda _: "another value than on an earlier line of the same asset and time",
            )
        )
    return checks


def read_names(
    cells: Cells, title: str, names: TextNames
) -> tuple[npt.NDArray[np.object_], list[Check]]:
    """Return the names for the texts in a column, and the checks that each row has one."""
    encoded = cells.dictionary_encode()
    absent = ~cell.filled_cells(cells)
    codes = np.where(
        absent, -1, encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
    ).astype(np.int64)
    resolved: list[str | None] = []
    reasons: dict[int, str] = {}
    for code, text in enumerate(encoded.dictionary.to_pylist()):
        try:
            resolved.append(names.read(text))
        except ValueError as reason:
            resolved.append(text)
            reasons[code] = reason.args[0]
    return np.array([*resolved, None], dtype=object)[codes], [
        Check(absent, title, lambda _: names.missing),
        Check(np.isin(codes, [*reasons]), title, lambda row: reasons[int(codes[row])]),
    ]


MOST_TEXTS = 20
# numbers that devices write where they have no value; if they lie far from all others
_SENTINELS = frozenset(
    sign * value
    for sign in (1, -1)
    for value in (
        999, 9999, 99999, 999999, 9999999, 99999999, 99.99, 999.9, 999.99, 9999.9, 9999.99, 99999.9,
        999.25, 327.67, 327.68, 3276.7, 3276.8, 32766, 32767, 32768, 655.35, 6553.5, 65534, 65535,
        2147483647, 2147483648, 4294967295, 1e20, 1e25, 9.999e20,
    )
)  # fmt: skip
_MOST_EXACT = 1e15
_Text = TypeVar("_Text", str, tuple[float, str])


def profile_column(
    profile: ColumnProfile,
    chunk: Chunk,
    cells: Cells,
    usable: BoolArray,
    numbers: NumberForm,
    floats: FloatArray | None = None,
) -> BoolArray:
    """Count the kinds of usable (cleaned) cells of one column; return a mask of the filled cells.

    Counts the removed content of cleaned cells as well. `floats`: the cells as numbers, where all
    are plain ones.
    """
    if profile.writing:
        suffixes, in_brackets = cell.count_suffixes(
            cell.clean(chunk.columns[profile.title]).filter(pa.array(usable))
        )
        profile.suffixes.update(suffixes)
        profile.in_brackets += in_brackets
    if floats is not None and _count_values(profile, chunk, floats, usable):
        neither = (floats != 0) & (floats != 1) & usable
        profile.numbers += int(np.count_nonzero(usable))
        profile.not_boolean += int(np.count_nonzero(neither))
        _examples(profile.first_not_boolean, chunk, cells, profile.title, neither, "boolean")
        return usable.copy()
    is_present = cell.filled_cells(cells)
    if chunk.columns[profile.title].null_count == len(cells):
        return is_present
    filled = is_present & usable
    texts = np.zeros(len(cells), dtype=bool)
    if floats is None:
        floats, texts = cell.numbers(cells, numbers.decimal, numbers.thousands)
    _, neither = cell.booleans_among(cells, floats, texts)
    infinite = np.isinf(floats) & filled
    filled &= texts | ~np.isnan(floats)
    profile.infinite += int(infinite.sum())
    texts &= filled
    finite = filled & ~texts & ~infinite
    _count_values(profile, chunk, floats, finite)
    profile.numbers += int(finite.sum())
    profile.texts += int((texts & neither).sum())
    profile.booleans += int((texts & ~neither).sum())
    profile.not_boolean += int((neither & filled).sum())
    _count_marks(profile, chunk.columns[profile.title], usable & ~is_present)
    if texts.any():
        profile.grouped += int(cell.plainly_grouped(cells, numbers.decimal).any())
        _count_kinds_of_text(profile, cells.filter(pa.array(texts)))
    _examples(profile.first_not_number, chunk, cells, profile.title, texts | infinite, "number")
    _examples(profile.first_not_boolean, chunk, cells, profile.title, neither & filled, "boolean")
    return filled


def _count_values(
    profile: ColumnProfile, chunk: Chunk, floats: FloatArray, among: BoolArray
) -> bool:
    """Extend the range of the numbers of a column, apart from those that often mean no value;
    return False if one is infinite."""
    cells = chunk.columns[profile.title]
    numbers = floats if among.all() else floats[among]
    if not len(numbers):
        return True
    least = float(numbers.min())
    most = float(numbers.max())
    if not (math.isfinite(least) and math.isfinite(most)):
        return False
    if max(-least, most) >= _MOST_EXACT and not profile.identifier:
        profile.identifier = cell.why_identifier(cells.filter(pa.array(among)))
    ends = [end for end in (least, most) if end in _SENTINELS or abs(end) > MOST_MEASURED]
    if ends:
        is_sentinel = among & (np.isin(floats, ends) | (np.abs(floats) > MOST_MEASURED))
        for text, count in cell.commonest(cells, is_sentinel, MOST_TEXTS).items():
            value = floats[int(pc.index(cells, text).as_py())]
            _add_count(profile.sentinels, (float(value), text.strip()), count)
        return _count_values(profile, chunk, floats, among & ~is_sentinel)
    profile.least = min(profile.least, least)
    profile.most = max(profile.most, most)
    return True


def _count_kinds_of_text(profile: ColumnProfile, texts: Cells) -> None:
    counted = pc.value_counts(texts)
    distinct = counted.field("values")
    counts = counted.field("counts").to_numpy(zero_copy_only=False)
    profile.decimal_commas += int(counts[cell.decimal_commas(distinct)].sum())
    profile.faults += int(counts[cell.states_fault(distinct)].sum())
    _add_commonest(profile.common_texts, distinct, counts)
    no_value = cell.states_no_value(distinct)
    if no_value.any():
        _add_commonest(profile.no_values, distinct.filter(pa.array(no_value)), counts[no_value])


def _count_marks(profile: ColumnProfile, written: Cells, missing: BoolArray) -> None:
    if not missing.any():
        return
    texts = pc.utf8_trim_whitespace(written)
    marked = missing & cell.as_mask(pc.greater(pc.fill_null(pc.binary_length(texts), 0), 0))
    if marked.any():
        profile.marked += int(marked.sum())
        _count_texts(profile.marks, texts, marked)


def _count_texts(counts: dict[str, int], cells: Cells, among: BoolArray) -> None:
    for word, count in cell.commonest(cells, among, MOST_TEXTS).items():
        _add_count(counts, word, count)


def _add_commonest(counts: dict[str, int], distinct: Cells, counted: npt.NDArray[np.int64]) -> None:
    for i in np.argsort(-counted, kind="stable")[:MOST_TEXTS].tolist():
        _add_count(counts, distinct[i].as_py(), int(counted[i]))


def _add_count(counts: dict[_Text, int], word: _Text, count: int) -> None:
    if word in counts or len(counts) < MOST_TEXTS:
        counts[word] = counts.get(word, 0) + count


def _examples(
    examples: list[BadLine],
    chunk: Chunk,
    cells: Cells,
    title: str,
    bad: BoolArray,
    type: VariableType,
) -> None:
    if len(examples) < EXAMPLES and bad.any():
        examples.extend(
            faulty_lines(chunk, [type_check(cells, title, bad, type)], EXAMPLES - len(examples))
        )


Rows = npt.NDArray[np.int64]
_GRADES: tuple[Quality, Quality] = ("bad", "uncertain")


@dataclass(frozen=True)
class DuplicateRows:
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
    ) -> DuplicateRows:
        """Compare the usable rows of the next chunk: 1.0 equals 1.00, a missing cell equals all."""
        rows = np.flatnonzero(usable)
        codes = self._encode(series[rows])
        instants = pd.DataFrame({"code": codes, "at": at[rows]})
        is_last = self._last_at[codes] == at[rows]
        duplicate_rows = DuplicateRows(
            np.zeros(len(at), dtype=bool), {}, np.zeros(len(at), dtype=bool)
        )
        if self._rule != "refuse":
            duplicate_rows.again[rows[instants.duplicated().to_numpy() | is_last]] = True
            self._last_at[codes] = at[rows]
            return duplicate_rows
        suspicious = np.flatnonzero(instants.duplicated(keep=False).to_numpy() | is_last)
        compared: dict[tuple[int, int], list[str | None]] = {}
        for i in suspicious:
            key = (int(codes[i]), int(at[rows[i]]))
            row = int(rows[i])
            now = [column[row].as_py() for column in cells]
            before = compared.get(key) or self._last_cells(*key)
            compared[key] = _compare(duplicate_rows, row, before, now) if before else now
        self._carry(codes, at, rows, cells)
        return duplicate_rows

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
        filled = np.flatnonzero(last >= 0)
        self._last_at[filled] = at[last[filled]]
        before = len(self._last[0]) if self._last else 0
        source = np.arange(len(self._codes))
        source[filled] = before + np.arange(len(filled))
        old = self._last or [pa.array([], pa.string()) for _ in cells]
        self._last = [
            pc.take(
                pa.concat_arrays([earlier, pc.take(column, pa.array(last[filled]))]),
                pa.array(source),
            )
            for earlier, column in zip(old, cells, strict=True)
        ]


def _compare(
    duplicate_rows: DuplicateRows, row: int, before: list[str | None], now: list[str | None]
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
        duplicate_rows.contradictions[row] = against
        return before
    if all(a or not b for a, b in zip(before, now, strict=True)):
        duplicate_rows.same[row] = True
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
        grades = np.array([batch.quality.get(row, {}).get(name) for row in range(len(batch))])
        is_mean = rule == "mean" and column.values.dtype == np.float64
        merge = _mean_of_group if is_mean else _last_of_group
        columns[name], *graded = merge(
            column, grades == "bad", grades == "uncertain", group, len(first)
        )
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
    has_row = last >= 0
    return (
        SampleColumn(column.values[last], has_row & column.present[last]),
        has_row & bad[last],
        has_row & uncertain[last],
    )


def _mean_of_group(
    column: SampleColumn, bad: BoolArray, uncertain: BoolArray, group: Rows, groups: int
) -> tuple[SampleColumn, BoolArray, BoolArray]:
    """Return each group's mean; without one, if a sample is bad; and if one is uncertain."""
    rows = np.flatnonzero(column.present)
    count = np.bincount(group[rows], minlength=groups)
    base = np.zeros(groups)
    base[group[rows]] = column.values[rows]  # the mean of equal values is that value, exactly
    beyond = np.bincount(
        group[rows], weights=column.values[rows] - base[group[rows]], minlength=groups
    )
    is_bad = np.bincount(group[bad], minlength=groups) > 0
    is_uncertain = np.bincount(group[uncertain & column.present], minlength=groups) > 0
    return (
        SampleColumn(base + beyond / np.maximum(count, 1), count > 0),
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


HEADER = ("line", "column", "reason", "original")


def rejects_path(path: Path) -> Path:
    """Return the default path of the rejects file: beside the file."""
    return path.with_name(path.name + ".rejects.csv")


class RejectsFile:
    """CSV file of line, column, reason and original line, rewritten by each import; an import
    without rejects leaves none. No text in it is a formula to a spreadsheet program.

    Opening it raises UserError if it cannot be written, so that the import fails before its first
    write.
    """

    def __init__(self, path: Path, source: Path) -> None:
        if path.resolve() == source.resolve():
            raise UserError(
                f"{path} is the file to import, so it cannot hold the rejects; name another file "
                "with --rejects"
            )
        self.path = path
        self.count = 0
        try:
            self._file = path.open("w", newline="", encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"the rejects file {path} cannot be written ({error.strerror}); name another with "
                "--rejects"
            ) from error
        self._writer = csv.writer(self._file)
        self._writer.writerow(HEADER)

    def __call__(self, line: BadLine) -> None:
        texts = (line.column or "", line.reason, line.original)
        self._writer.writerow((line.line, *map(spreadsheet_text, texts)))
        self.count += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if not self.count:
            self.path.unlink()
