"""Rows of an imported table, in a file of any format: instant and asset of each, and columns that
become variables. Checks of the rows of a chunk, the search for lines that state an instant of an
asset twice, which are merged where that is wanted, and the file of the lines that an import
rejects."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import BoolArray, Cells, FloatArray
from alerting.adapters.files.chunks import Chunk
from alerting.adapters.files.recognition import NumberForm
from alerting.deferred import pa, pc, pd
from alerting.definitions.asset_documents import VariableType
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import DuplicatesRule
from alerting.definitions.wording.clean_text import spreadsheet_text
from alerting.ports import SampleColumn
from alerting.readings import written_values
from alerting.readings.foreign_columns import BadLine, ColumnProfile
from alerting.readings.history import MOST_MEASURED, Millis
from alerting.usecases.ingestion.asset_import import TextNames

EXAMPLES = 5
Rows = npt.NDArray[np.int64]
Grades = npt.NDArray[np.int8]
UNCERTAIN = 1
BAD = 2


@dataclass(frozen=True)
class Check:
    """One possible fault of rows of a chunk: a mask of the rows, the column, and the reason;
    whether the column states a quality."""

    bad: BoolArray
    column: str
    why: Callable[[int], str]
    of_quality: bool = False


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
        line = int(chunk.lines[row])
        lines.append(BadLine(line, check.column, check.why(row), text, check.of_quality))
    return lines


def bad_lines(chunk: Chunk, checks: Sequence[Check], limit: int | None = None) -> list[BadLine]:
    """Return the lines of `faulty_lines`, and those of the chunk that are no whole row."""
    lines = [*chunk.broken[:limit], *faulty_lines(chunk, checks, limit)]
    return sorted(lines, key=lambda line: line.line)[:limit]


def read_names(
    cells: Cells, title: str, names: TextNames, index: dict[str, int]
) -> tuple[Rows, list[Check]]:
    """Return the position in `index` of the name for each text of a column, -1 without one, and the
    checks that each row has one. New names are added to `index`."""
    encoded = cells.dictionary_encode()
    positions: list[int] = []
    reasons: dict[int, str] = {}
    for code, text in enumerate(encoded.dictionary.to_pylist()):
        name = text
        try:
            name = names.read(text)
        except ValueError as reason:
            reasons[code] = reason.args[0]
        positions.append(index.setdefault(name, len(index)))
    codes = encoded.indices.fill_null(len(positions)).to_numpy(zero_copy_only=False)
    named = np.array([*positions, -1], dtype=np.int64)[codes]
    return named, [
        Check(named < 0, title, lambda _: names.missing),
        Check(np.isin(codes, [*reasons]), title, lambda row: reasons[int(codes[row])]),
    ]


@dataclass(frozen=True)
class Keyed:
    """A chunk with the instant and the asset of every row, and the checks that some rows fail.

    `asset_codes`: positions of the assets among those of the file; `series`: numbers of what a row
    is told apart by at one instant. `cells` of a sample of bad quality are empty. `floats`: the
    numbers of columns that hold only plain ones. `grades`: UNCERTAIN and BAD samples, by the title
    of a column that has such. Of events: their `types` and `ends`.
    """

    chunk: Chunk
    instants: cell.Instants
    assets: npt.NDArray[np.object_]
    asset_codes: npt.NDArray[np.int64]
    series: npt.NDArray[np.int64]
    cells: dict[str, Cells]
    checks: list[Check]
    floats: Mapping[str, FloatArray]
    grades: Mapping[str, Grades]
    types: npt.NDArray[np.object_] = field(default_factory=lambda: np.empty(0, dtype=object))
    ends: cell.Instants | None = None


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


def profile_column(
    profile: ColumnProfile,
    chunk: Chunk,
    cells: Cells,
    usable: BoolArray,
    form: NumberForm,
    floats: FloatArray | None = None,
) -> tuple[BoolArray, FloatArray]:
    """Count the kinds of usable (cleaned) cells of one column; return a mask of the filled cells,
    and the numbers, NaN where there is none.

    Counts the removed content of cleaned cells as well. `floats`: the cells as numbers, where all
    are plain ones.
    """

    def note_examples(examples: list[BadLine], bad: BoolArray, type: VariableType) -> None:
        if len(examples) < EXAMPLES and bad.any():
            check = Check(bad, profile.title, lambda row: cell.why_bad(cells[row].as_py(), type))
            examples += faulty_lines(chunk, [check], EXAMPLES - len(examples))

    written = chunk.columns[profile.title]
    if profile.writing:
        suffixes, in_brackets = cell.count_suffixes(cell.clean(written).filter(pa.array(usable)))
        profile.suffixes.update(suffixes)
        profile.in_brackets += in_brackets
    if floats is not None and _count_values(profile, written, floats, usable):
        neither = (floats != 0) & (floats != 1) & usable
        profile.numbers += int(np.count_nonzero(usable))
        profile.not_boolean += int(np.count_nonzero(neither))
        note_examples(profile.first_not_boolean, neither, "boolean")
        return usable.copy(), floats
    is_present = cell.filled_cells(cells)
    texts = np.zeros(len(cells), dtype=bool)
    if written.null_count == len(cells):
        return is_present, np.full(len(cells), np.nan)
    if floats is None:
        floats, texts = cell.numbers(cells, form.decimal, form.thousands)
    filled = is_present & usable & (texts | ~np.isnan(floats))
    _, neither = cell.booleans_among(cells, floats, texts)
    neither &= filled
    infinite = np.isinf(floats) & filled
    texts &= filled
    finite = filled & ~texts & ~infinite
    _count_values(profile, written, floats, finite)
    profile.infinite += int(infinite.sum())
    profile.numbers += int(finite.sum())
    profile.texts += int((texts & neither).sum())
    profile.booleans += int((texts & ~neither).sum())
    profile.not_boolean += int(neither.sum())
    missing = usable & ~is_present
    if missing.any():
        removed = pc.utf8_trim_whitespace(written.filter(pa.array(missing)))
        removed = removed.filter(pc.fill_null(pc.not_equal(removed, ""), False))
        profile.marked += len(removed)
        _add_commonest(profile.marks, *_distinct(removed))
    if texts.any():
        profile.grouped += int(cell.plainly_grouped(cells, form.decimal).any())
        distinct, counts = _distinct(cells.filter(pa.array(texts)))
        profile.decimal_commas += int(counts[cell.matching(distinct, cell.DECIMAL_COMMA)].sum())
        # beyond the range of the instrument, as <0.05; in a column of text they may be texts
        beyond = cell.matching(distinct, written_values.STATES_BEYOND)
        faults = cell.states_no_value(distinct, written_values.FAULT_TEXTS) | beyond
        profile.faults += int(counts[faults].sum())
        _add_commonest(profile.common_texts, distinct, counts)
        no_value = cell.states_no_value(distinct)
        _add_commonest(profile.no_values, distinct.filter(pa.array(no_value)), counts[no_value])
    note_examples(profile.first_not_number, texts | infinite, "number")
    note_examples(profile.first_not_boolean, neither, "boolean")
    return filled, floats


def _count_values(
    profile: ColumnProfile, written: Cells, floats: FloatArray, among: BoolArray
) -> bool:
    """Extend the range of the numbers of a column, apart from those that often mean no value;
    return False if one is infinite."""
    numbers = floats if among.all() else floats[among]
    if not len(numbers):
        return True
    least = float(numbers.min())
    most = float(numbers.max())
    if not (math.isfinite(least) and math.isfinite(most)):
        return False
    if max(-least, most) >= _MOST_EXACT and not profile.identifier:
        profile.identifier = cell.why_identifier(written.filter(pa.array(among)))
    ends = [end for end in (least, most) if end in _SENTINELS or abs(end) > MOST_MEASURED]
    if ends:
        is_sentinel = among & (np.isin(floats, ends) | (np.abs(floats) > MOST_MEASURED))
        _add_commonest(
            profile.sentinels,
            *_distinct(written.filter(pa.array(is_sentinel))),
            lambda text: (float(floats[pc.index(written, text).as_py()]), text.strip()),
        )
        return _count_values(profile, written, floats, among & ~is_sentinel)
    profile.least = min(profile.least, least)
    profile.most = max(profile.most, most)
    return True


def _distinct(cells: Cells) -> tuple[Cells, Rows]:
    """Return the different cells of a column, and how often each occurs."""
    counted = pc.value_counts(cells)
    return counted.field("values"), counted.field("counts").to_numpy(zero_copy_only=False)


def _add_commonest(
    counts: dict[Any, int], distinct: Cells, counted: Rows, key: Callable[[str], Any] = str
) -> None:
    """Add the counts of the commonest cells, each by its `key`, while there are few."""
    for i in np.argsort(-counted, kind="stable")[:MOST_TEXTS].tolist():
        word = key(distinct[i].as_py())
        if word in counts or len(counts) < MOST_TEXTS:
            counts[word] = counts.get(word, 0) + int(counted[i])


class DuplicateRows(NamedTuple):
    """Duplicates of a chunk.

    `same`: rows that add nothing to an earlier row. `against`: the position of the column in which
    a row contradicts an earlier one, else -1. `again`: rows of an instant that an earlier row
    states, to be merged with it.
    """

    same: BoolArray
    against: Rows
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
        self._series: Rows = np.empty(0, dtype=np.int64)
        self._at: Millis = np.empty(0, dtype=np.int64)
        self._last: list[Cells] = []

    def find(
        self, series: Rows, at: Millis, cells: Sequence[Cells], usable: BoolArray
    ) -> DuplicateRows:
        """Compare the usable rows of the next chunk: 1.0 equals 1.00, a missing cell equals all."""
        duplicate_rows = DuplicateRows(
            np.zeros_like(usable), np.full(len(at), -1), np.zeros_like(usable)
        )
        rows = np.flatnonzero(usable)
        before = len(self._at)  # the last row of each series, which stand before those of the chunk
        series = np.concatenate([self._series, series[rows]])
        at = np.concatenate([self._at, at[rows]])
        if not _is_ascending(at, series) and not _is_ascending(series, at):
            keys = pd.DataFrame({"series": series, "at": at})
            if self._rule != "refuse":
                duplicate_rows.again[rows[keys.duplicated().to_numpy()[before:]]] = True
            elif cells:
                self._compare(keys[keys.duplicated(keep=False)], rows, cells, duplicate_rows)
        last = np.full(int(series.max(initial=-1)) + 1, -1)
        last[series] = np.arange(len(series))
        last = np.sort(last[last >= 0])
        self._series = series[last]
        self._at = at[last]
        if self._rule == "refuse":
            old_rows = pa.array(last[last < before])
            new_rows = pa.array(rows[last[last >= before] - before])
            earlier = self._last or [cell.column([]) for _ in cells]
            self._last = [
                pa.concat_arrays([old.take(old_rows), column.take(new_rows)])
                for old, column in zip(earlier, cells, strict=True)
            ]
        return duplicate_rows

    def _compare(
        self, keys: pd.DataFrame, rows: Rows, cells: Sequence[Cells], duplicate_rows: DuplicateRows
    ) -> None:
        """Compare rows of one instant, each with all that the ones before it state together."""
        stated: dict[tuple[int, int], list[str | None]] = {}
        count = len(self._at)
        for i, *key in keys.itertuples():
            row = i if i < count else int(rows[i - count])
            now = [column[row].as_py() for column in (self._last if i < count else cells)]
            before = stated.setdefault(tuple(key), now)
            if before is now:
                continue
            pairs = [*zip(before, now, strict=True)]
            against = [n for n, (a, b) in enumerate(pairs) if a and b and not _equal(a, b)]
            if against:
                duplicate_rows.against[row] = against[0]
                continue
            duplicate_rows.same[row] = all(a or not b for a, b in pairs)
            stated[tuple(key)] = [a or b for a, b in pairs]


def _is_ascending(first: Rows, second: Rows) -> bool:
    """Return whether rows ascend by a first key, and where that is the same by a second."""
    step = np.diff(first)
    return bool(((step > 0) | ((step == 0) & (np.diff(second) > 0))).all())


def _equal(a: str, b: str) -> bool:
    if a == b:
        return True
    try:
        return float(a.replace(",", ".")) == float(b.replace(",", "."))
    except ValueError:
        return False


@dataclass(frozen=True)
class GradedRows:
    """Rows of samples, and of their grades, by variable."""

    assets: npt.NDArray[np.object_]
    at: Millis
    columns: Mapping[str, SampleColumn]
    grades: Mapping[str, Grades]

    def take(self, rows: Rows | slice) -> GradedRows:
        """Return these rows."""
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        grades = {name: grades[rows] for name, grades in self.grades.items()}
        return GradedRows(self.assets[rows], self.at[rows], columns, grades)


def merge_duplicates(parts: Iterable[GradedRows], rule: DuplicatesRule) -> Iterator[GradedRows]:
    """Yield the rows with one for each instant of an asset: its last sample of each variable, also
    a bad one, or the mean of its numbers, which is bad only where all are.

    The rows of the last instant of each asset wait for the next part.
    """
    waiting: GradedRows | None = None
    for part in parts:
        rows = part if waiting is None else _join(waiting, part)
        codes, names = pd.factorize(rows.assets)
        last = np.empty(len(names), dtype=np.int64)
        last[codes] = rows.at
        waits = last[codes] == rows.at
        waiting = rows.take(np.flatnonzero(waits))
        yield _merge(rows.take(np.flatnonzero(~waits)), rule)
    if waiting is not None:
        yield _merge(waiting, rule)


def _join(first: GradedRows, second: GradedRows) -> GradedRows:
    columns = {
        name: SampleColumn(
            np.append(a.values, second.columns[name].values),
            np.append(a.present, second.columns[name].present),
        )
        for name, a in first.columns.items()
    }
    grades = {name: np.append(a, second.grades[name]) for name, a in first.grades.items()}
    assets = np.append(first.assets, second.assets)
    return GradedRows(assets, np.append(first.at, second.at), columns, grades)


def _merge(rows: GradedRows, rule: DuplicatesRule) -> GradedRows:
    keys = pd.DataFrame({"asset": rows.assets, "at": rows.at})
    first = np.flatnonzero(~keys.duplicated().to_numpy())
    if len(first) == len(rows.at):
        return rows
    group = np.asarray(keys.groupby(["asset", "at"], sort=False).ngroup(), dtype=np.int64)
    columns = {}
    grades = {}
    for name, column in rows.columns.items():
        grade = rows.grades[name]
        is_mean = rule == "mean" and column.values.dtype == np.float64
        is_sample = column.present if is_mean else column.present | (grade == BAD)
        sampled = np.flatnonzero(is_sample)
        last = np.full(len(first), -1, dtype=np.int64)
        last[group[sampled]] = sampled
        values = column.values[last]
        merged = np.where(last >= 0, grade[last], np.int8(0))
        if is_mean:  # that of equal values is that value, exactly
            of_rows = group[sampled]
            beyond = np.bincount(of_rows, column.values[sampled] - values[of_rows], len(first))
            values = values + beyond / np.maximum(np.bincount(of_rows, minlength=len(first)), 1)
            is_bad = np.bincount(group[grade == BAD], minlength=len(first)) > 0
            merged[is_bad & (last < 0)] = BAD
            merged[group[column.present & (grade == UNCERTAIN)]] = UNCERTAIN
        columns[name] = SampleColumn(values, (last >= 0) & column.present[last])
        grades[name] = merged
    return GradedRows(rows.assets[first], rows.at[first], columns, grades)


HEADER = ("line", "column", "reason", "original")


def rejects_path(path: Path) -> Path:
    """Return the default path of the rejects file: beside the file."""
    return path.with_name(path.name + ".rejects.csv")


class RejectsFile(AbstractContextManager["RejectsFile"]):
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

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self.count:
            self.path.unlink()
