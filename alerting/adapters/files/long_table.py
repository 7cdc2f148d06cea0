"""A table with one row for each value, as one with a column for each variable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from alerting.adapters.files.cells import as_mask
from alerting.adapters.files.chunks import Cells, Chunk, ChunkedTable
from alerting.adapters.files.roles import (
    VALIDITY_FLAGS,
    LongColumns,
    is_no_variable,
    is_titled,
)
from alerting.deferred import pa, pc, pd
from alerting.definitions.faults import UserError, shown
from alerting.definitions.wording.language import join_first
from alerting.readings.foreign_columns import BadLine, split_title
from alerting.readings.history import doubtful_texts

MOST_VARIABLES = 2_000
QUALITY_SUFFIX = " (quality)"
_CELLS_AT_ONCE = 2_000_000
_MOST_COMBINATIONS = 200_000
_FEW_ROWS = 100
_FEW_TEXTS = 6  # of a column that may state the quality of values
_MOST_WAITING = 20_000  # rows of an instant
_SHOWN = 10

Rows = npt.NDArray[np.int64]
Combination = tuple[str | None, ...]


class LongTable(ChunkedTable):
    """A table with one row for each value, seen as one with a column for each variable: rows of
    one instant and asset that stand together are one row, a second value of a variable begins
    another.

    Reads the columns of variables and units once to know them. Raises UserError for too many of
    them, or if a column that is left aside tells rows of one variable apart.
    """

    def __init__(self, table: ChunkedTable, columns: LongColumns) -> None:
        self._table = table
        self.columns = columns
        self.path = table.path
        self.unit = table.unit
        self.stated = table.stated
        self.title_lines = table.title_lines
        self.unit_line = table.unit_line
        self.first_line = table.first_line
        self.encoding = table.encoding
        self.separator = table.separator
        self.position = table.position
        self._aside: dict[str, Counter[str | None]] = {title: Counter() for title in columns.aside}
        counts = self._count_combinations()
        self._titles = self._title_variables(counts)
        self.variables = (*dict.fromkeys(self._titles.values()),)
        self.as_written = {title: pair[0] for pair, title in self._titles.items()}
        qualities = [title + QUALITY_SUFFIX for title in self.variables] if columns.quality else []
        self.titles = (*columns.keys, *self.variables, *qualities)
        self.notes = (*table.notes, *self._notes(counts))

    def chunks(self, titles: Sequence[str]) -> Iterator[Chunk]:
        """Yield rows in file order, only with the wanted columns."""
        c = self.columns
        read = [*c.keys, c.variable, c.value, *(t for t in (c.unit, c.quality) if t)]
        waiting: Chunk | None = None
        for chunk in self._table.chunks([*dict.fromkeys(read)]):
            following = chunk
            if waiting is not None:
                end = self._begin_of_last_instant(waiting)
                yield from self._widen(_slice(waiting, 0, end), titles)
                following = _join(_slice(waiting, end, len(waiting.lines)), chunk)
            waiting = following
        if waiting is not None:
            yield from self._widen(waiting, titles)

    def first_rows(self, rows: int) -> Chunk | None:
        """Return the instants of at least `rows` first rows, or of all, with all columns."""
        first = self._table.first_rows(rows)
        return next(self._widen(first, self.titles), None) if first else None

    def _count_combinations(self) -> dict[Combination, int]:
        """Return how many rows have each combination of variable, unit, asset, and columns that
        must be the same for a variable."""
        c = self.columns
        titles = [c.variable, *(t for t in (c.unit, c.asset, *c.bound) if t)]
        counts: dict[Combination, int] = {}
        for chunk in self._table.chunks([*dict.fromkeys((*titles, *c.aside))]):
            for title in [t for t, texts in self._aside.items() if len(texts) <= _FEW_TEXTS]:
                counted = pc.value_counts(pc.utf8_trim_whitespace(chunk.columns[title]))
                pairs = counted[: _FEW_TEXTS + 2].to_pylist()
                self._aside[title].update({p["values"] or None: p["counts"] for p in pairs})
            names = [str(i) for i in range(len(titles))]
            columns = [*(chunk.columns[title] for title in titles), np.arange(len(chunk.lines))]
            rows = pa.table(columns, [*names, "row"])
            grouped = rows.group_by(names).aggregate([("row", "min"), ("row", "count")])
            grouped = grouped.sort_by("row_min")
            texts = [map(_trim, grouped[name].to_pylist()) for name in names]
            for combination, count in zip(
                zip(*texts, strict=True), grouped["row_count"].to_pylist(), strict=True
            ):
                counts[combination] = counts.get(combination, 0) + count
            if len(counts) > _MOST_COMBINATIONS:
                break
        self._refuse_too_many(counts)
        self._refuse_unbound(counts)
        return counts

    def _refuse_too_many(self, counts: Mapping[Combination, int]) -> None:
        distinct = len({combination[0] for combination in counts})
        rows = sum(counts.values())
        is_text = not self.columns.is_stated and rows > _FEW_ROWS and 2 * distinct > rows
        if distinct > MOST_VARIABLES or (is_text and not self._has_few_instants(rows)):
            raise UserError(
                f"{self.path!s}: column {shown(self.columns.variable)} would name the variable of "
                f"each row, and has {distinct:,} different texts in {rows:,} rows; at most "
                f"{MOST_VARIABLES:,} are read, each of several rows. Name the columns with "
                "--variable-column and --value-column, or give --wide if each column is a variable"
            )

    def _has_few_instants(self, rows: int) -> bool:
        first = self._table.first_rows(rows)
        if first is None:
            return False
        stamps = pa.table({title: first.columns[title] for title in self.columns.times})
        return 2 * len(stamps.group_by(self.columns.times).aggregate([])) < len(stamps)

    def _refuse_unbound(self, counts: Mapping[Combination, int]) -> None:
        """Refuse a column that is left aside although it has several texts for one variable."""
        c = self.columns
        fixed = 1 + bool(c.unit) + bool(c.asset)
        for position, title in enumerate(c.bound, fixed):
            first: dict[Combination, str | None] = {}
            for combination in counts:
                text = first.setdefault(combination[:fixed], combination[position])
                if text != combination[position]:
                    raise UserError(
                        f"{self.path!s}: rows of the variable {shown(combination[0] or '')} differ "
                        f"in column {shown(title)}. If it names the asset, give --asset-column "
                        f"{title!r}; if it states their quality, --quality {title!r}; to leave it "
                        f"aside, --variable-column {c.variable!r} --value-column {c.value!r}"
                    )

    def _title_variables(self, counts: Mapping[Combination, int]) -> dict[tuple[str, str], str]:
        """Return the title of each variable and unit; an empty unit is that of the variable."""
        units: dict[str, dict[str, None]] = {}
        texts = pa.array([combination[0] for combination in counts], pa.string())
        names = zip(counts, is_no_variable(texts, self.columns.variable).to_pylist(), strict=True)
        pairs = [
            self._variable_and_unit(combination) for combination, is_none in names if not is_none
        ]
        for text, unit in pairs:
            units.setdefault(text, {})[unit] = None
        titles: dict[tuple[str, str], str] = {}
        for text, unit in pairs:
            of_variable = [u for u in units[text] if u]
            stated = unit or (of_variable[0] if len(of_variable) == 1 else "")
            has_unit = not stated or split_title(text).unit is not None
            title = text if has_unit else f"{text} [{stated}]"
            titles[text, unit] = f"{title} (value)" if title in self.columns.keys else title
        return titles

    def _variable_and_unit(self, combination: Combination) -> tuple[str, str]:
        """Return the variable and the unit of a combination, empty where there is none."""
        return combination[0] or "", (combination[1] or "") if self.columns.unit else ""

    def _notes(self, counts: Mapping[Combination, int]) -> Iterator[str]:
        c = self.columns
        others: dict[str, int] = {}
        for combination, count in counts.items():
            key = self._variable_and_unit(combination)
            if key[0] and key not in self._titles:
                others[key[0]] = others.get(key[0], 0) + count
        if others:
            count = sum(others.values())
            yield (
                f"{count:,} {self.unit}{'s' * (count > 1)} without a value of the plant left out: "
                f"{', '.join(others)}"
            )
        written = [text for text, _ in self._titles]
        for text in sorted({text for text in written if written.count(text) > 1}):
            units = " and ".join(unit or "none" for name, unit in self._titles if name == text)
            yield f"{shown(text)} has several units ({units}), each a variable of its own"
        if c.quality and is_titled("validity", c.quality):
            yield f"column {shown(c.quality)}: 1 is read as good, 0 as bad"
        aside = {title: texts for title, texts in self._aside.items() if {*texts} - {None}}
        if aside:
            names = join_first([repr(title) for title in aside], _SHOWN)
            yield f"columns left aside: {names}"
        for title, texts in aside.items():
            filled = {text: count for text, count in texts.items() if text}
            words = doubtful_texts(filled)
            if words and not c.quality:
                yield (
                    f"column {shown(title)} is left aside ({words}): if it states the quality of "
                    f"the values, add --quality {title!r}"
                )

    def _begin_of_last_instant(self, chunk: Chunk) -> int:
        """Return the row from which on all have the last stamp: more of them may follow."""
        rows = len(chunk.lines)
        is_last = np.ones(rows, dtype=bool)
        for title in self.columns.times if rows else ():
            cells = chunk.columns[title]
            is_last &= as_mask(pc.fill_null(pc.equal(cells, cells[-1]), False))
        earlier = np.flatnonzero(~is_last)
        begin = int(earlier[-1]) + 1 if len(earlier) else 0
        return begin if rows - begin <= _MOST_WAITING else rows

    def _widen(self, chunk: Chunk, titles: Sequence[str]) -> Iterator[Chunk]:
        """Yield the rows of a chunk as instants, in pieces of a bounded number of cells."""
        variables = self._variables(chunk)
        requested = set(titles)
        is_read = np.array([title in requested for title in self.variables])
        used = variables >= 0
        if is_read.any():
            used &= is_read[variables]
        rows = np.flatnonzero(used)
        broken = (*chunk.broken, *self._unnamed(chunk, variables))
        instants = self._instants(chunk, rows, variables[rows])
        step = max(100, _CELLS_AT_ONCE // len(titles))
        for start in range(0, max(1, int(instants.max(initial=-1)) + 1), step):
            part = (instants >= start) & (instants < start + step)
            piece = _Piece(chunk, rows[part], variables[rows[part]], instants[part] - start)
            yield Chunk(piece.lines, self._columns(piece, titles), broken, piece.original)
            broken = ()

    def _variables(self, chunk: Chunk) -> Rows:
        """Return the position of the variable of each row; -1 of a row without a name, -2 of one
        that is no value."""
        c = self.columns
        codes, texts = _encode(chunk.columns[c.variable])
        units: list[str | None] = [""]
        if c.unit:
            of_units, units = _encode(chunk.columns[c.unit])
            codes = codes * len(units) + of_units
        distinct, rows = _factorize(codes)
        position = {title: i for i, title in enumerate(self.variables)}
        positions = np.empty(len(rows), dtype=np.int64)
        for i, code in enumerate(rows.tolist()):
            text = texts[code // len(units)]
            title = self._titles.get((text or "", units[code % len(units)] or ""))
            positions[i] = -1 if text is None else -2
            if title is not None:
                positions[i] = position[title]
        return positions[distinct]

    def _unnamed(self, chunk: Chunk, variables: Rows) -> list[BadLine]:
        return [
            BadLine(
                int(chunk.lines[row]),
                self.columns.variable,
                "there is no name of a variable",
                chunk.original(row),
            )
            for row in np.flatnonzero(variables == -1).tolist()
        ]

    def _instants(self, chunk: Chunk, rows: Rows, variables: Rows) -> Rows:
        """Return the number of the instant of each row.

        Rows belong together if they stand together: a clock may show the same time again later.
        Where rows of one variable stand together, it is enough that no stamp of it comes twice.
        """
        keys = np.zeros(len(rows), dtype=np.int64)
        stamps = keys
        for title in self.columns.keys:
            codes, texts = _encode(chunk.columns[title])
            keys = keys * len(texts) + codes[rows]
            if title in self.columns.times:
                stamps = keys
        by_variable = np.count_nonzero(np.diff(variables) == 0) * 2 > len(rows)
        if not by_variable:
            runs = np.cumsum(np.diff(stamps, prepend=stamps[:1]) != 0)
            keys = _factorize(keys)[0] + runs * (len(rows) + 1)
        keys = _factorize(keys)[0]
        again = pd.Series(keys * len(self.variables) + variables)
        if not again.duplicated().any():
            return keys
        if by_variable:
            return np.arange(len(rows))
        turn = again.groupby(again).cumcount().to_numpy(np.int64)
        return _factorize(keys * (len(rows) + 1) + turn)[0]

    def _columns(self, piece: _Piece, titles: Sequence[str]) -> dict[str, Cells]:
        c = self.columns
        requested = set(titles)
        columns = {title: piece.first(title) for title in c.keys if title in requested}
        for position, title in enumerate(self.variables):
            if title in requested:
                columns[title] = piece.cells(c.value, position)
            if c.quality and title + QUALITY_SUFFIX in requested:
                cells = piece.cells(c.quality, position)
                columns[title + QUALITY_SUFFIX] = self._grades(cells)
        return {title: columns[title] for title in titles}

    def _grades(self, cells: Cells) -> Cells:
        """Return qualities; further words, and the flags of a column of validity, as such."""
        if cells.null_count == len(cells):
            return cells
        encoded = cells.dictionary_encode()
        validity = is_titled("validity", str(self.columns.quality))
        meanings = VALIDITY_FLAGS if validity else {}
        texts = [
            meanings.get(text.strip().casefold(), text) for text in encoded.dictionary.to_pylist()
        ]
        return pc.take(pa.array(texts, pa.string()), encoded.indices)


class _Piece:
    """Some rows of a chunk with the position of their variable and the number of their instant."""

    def __init__(self, chunk: Chunk, rows: Rows, variables: Rows, instants: Rows) -> None:
        self._chunk = chunk
        self._rows = rows
        self._instants = instants
        self._count = int(instants.max(initial=-1)) + 1
        self._order = np.argsort(variables, kind="stable")
        self._bounds = np.searchsorted(variables[self._order], np.arange(MOST_VARIABLES + 1))
        first = np.empty(self._count, dtype=np.int64)
        first[instants[::-1]] = rows[::-1]
        self._first = first
        self._nothing = pa.nulls(self._count, pa.string())

    @property
    def lines(self) -> Rows:
        return self._chunk.lines[self._first]

    def first(self, title: str) -> Cells:
        """Return the cell of the first row of each instant."""
        return pc.take(self._chunk.columns[title], pa.array(self._first))

    def cells(self, title: str, variable: int) -> Cells:
        """Return the cells of one variable, null where an instant has none."""
        some = self._order[self._bounds[variable] : self._bounds[variable + 1]]
        if not len(some):
            return self._nothing
        index = np.full(self._count, -1, dtype=np.int64)
        index[self._instants[some]] = self._rows[some]
        is_missing = index < 0
        rows = pa.array(index, mask=is_missing) if is_missing.any() else pa.array(index)
        return pc.take(self._chunk.columns[title], rows)

    def original(self, instant: int) -> str:
        """Return the lines of an instant."""
        rows = self._rows[self._instants == instant].tolist()
        return "\n".join(self._chunk.original(row) for row in rows)


def _slice(chunk: Chunk, start: int, end: int) -> Chunk:
    columns = {title: cells.slice(start, end - start) for title, cells in chunk.columns.items()}
    broken = () if start else chunk.broken
    return Chunk(chunk.lines[start:end], columns, broken, lambda row: chunk.original(row + start))


def _join(first: Chunk, second: Chunk) -> Chunk:
    count = len(first.lines)
    columns = {
        title: pa.concat_arrays([cells, second.columns[title]])
        for title, cells in first.columns.items()
    }
    lines = np.concatenate([first.lines, second.lines])
    broken = (*first.broken, *second.broken)
    return Chunk(
        lines,
        columns,
        broken,
        lambda row: first.original(row) if row < count else second.original(row - count),
    )


def _encode(cells: Cells) -> tuple[Rows, list[str | None]]:
    """Return a code for each cell, and the trimmed text of each code, None for an empty cell."""
    encoded = cells.dictionary_encode()
    texts = [_trim(text) for text in encoded.dictionary.to_pylist()]
    codes = encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), [*texts, None]


def _factorize(keys: Rows) -> tuple[Rows, Rows]:
    """Return a number for each key in the order of first occurrence, and the keys by number."""
    codes, distinct = pd.factorize(keys)
    return np.asarray(codes, dtype=np.int64), np.asarray(distinct, dtype=np.int64)


def _trim(text: Any) -> str | None:
    return (text or "").strip() or None
