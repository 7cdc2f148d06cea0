"""A table with one row for each value, as one with a column for each variable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

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
Combination = tuple[str, ...]  # variable, unit, asset, and columns bound to them


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
        self.content = table.content
        self.unit = table.unit
        self.stated = table.stated
        self.title_lines = table.title_lines
        self.unit_line = table.unit_line
        self.first_line = table.first_line
        self.encoding = table.encoding
        self.separator = table.separator
        self.position = table.position
        self._aside: dict[str, Counter[str]] = {title: Counter() for title in columns.aside}
        counts = self._count_combinations()
        self._refuse(counts)
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
        for following in self._table.chunks([*dict.fromkeys(read)]):
            chunk = following
            if waiting is not None:
                rows = len(waiting.lines)
                is_last = np.full(rows, rows > 0)  # more rows of the last stamp may follow
                for title in c.times if rows else ():
                    cells = waiting.columns[title]
                    is_last &= as_mask(pc.fill_null(pc.equal(cells, cells[-1]), False))
                end = int(np.flatnonzero(~is_last).max(initial=-1)) + 1
                end = end if rows - end <= _MOST_WAITING else rows
                yield from self._widen(waiting, titles, end)
                chunk = _join(waiting.take(np.arange(end, rows)), following)
            waiting = chunk
        if waiting is not None:
            yield from self._widen(waiting, titles)

    def first_rows(self, rows: int) -> Chunk | None:
        """Return the instants of at least `rows` first rows, or of all, with all columns."""
        first = self._table.first_rows(rows)
        return next(self._widen(first, self.titles), None) if first else None

    def _count_combinations(self) -> dict[Combination, int]:
        """Return how many rows have each combination."""
        c = self.columns
        titles = [c.variable, c.unit, c.asset, *c.bound]
        counts: dict[Combination, int] = {}
        for chunk in self._table.chunks([*dict.fromkeys(t for t in (*titles, *c.aside) if t)]):
            for title, seen in self._aside.items():
                if len(seen) <= _FEW_TEXTS:
                    counted = pc.value_counts(pc.utf8_trim_whitespace(chunk.columns[title]))
                    pairs = counted[: _FEW_TEXTS + 2].to_pylist()
                    seen.update({p["values"] or "": p["counts"] for p in pairs})
            names = [str(i) for i in range(len(titles))]
            nothing = pa.nulls(len(chunk.lines), pa.string())
            columns = [chunk.columns[title] if title else nothing for title in titles]
            rows = pa.table([*columns, np.arange(len(chunk.lines))], [*names, "row"])
            grouped = rows.group_by(names).aggregate([("row", "min"), ("row", "count")])
            grouped = grouped.sort_by("row_min")
            texts = [map(_trim, grouped[name].to_pylist()) for name in names]
            for *combination, count in zip(*texts, grouped["row_count"].to_pylist(), strict=True):
                key = tuple(combination)
                counts[key] = counts.get(key, 0) + count
            if len(counts) > _MOST_COMBINATIONS:
                break
        return counts

    def _refuse(self, counts: Mapping[Combination, int]) -> None:
        """Refuse too many variables, and a column that is left aside although it has several texts
        for one variable."""
        c = self.columns
        distinct = len({combination[0] for combination in counts})
        rows = sum(counts.values())
        is_text = not c.is_stated and rows > _FEW_ROWS and 2 * distinct > rows
        first = self._table.first_rows(rows) if is_text else None
        if first is not None:
            stamps = pa.table({title: first.columns[title] for title in c.times})
            is_text = 2 * len(stamps.group_by(c.times).aggregate([])) >= len(stamps)
        if distinct > MOST_VARIABLES or is_text:
            raise UserError(
                f"{self.path!s}: column {shown(c.variable)} would name the variable of "
                f"each row, and has {distinct:,} different texts in {rows:,} rows; at most "
                f"{MOST_VARIABLES:,} are read, each of several rows. Name the columns with "
                "--variable-column and --value-column, or give --wide if each column is a variable"
            )
        for position, title in enumerate(c.bound, 3):
            texts: dict[Combination, str] = {}
            for combination in counts:
                text = texts.setdefault(combination[:3], combination[position])
                if text != combination[position]:
                    raise UserError(
                        f"{self.path!s}: rows of the variable {shown(combination[0])} differ "
                        f"in column {shown(title)}. If it names the asset, give --asset-column "
                        f"{title!r}; if it states their quality, --quality {title!r}; to leave it "
                        f"aside, --variable-column {c.variable!r} --value-column {c.value!r}"
                    )

    def _title_variables(self, counts: Mapping[Combination, int]) -> dict[tuple[str, str], str]:
        """Return the title of each variable and unit; an empty unit is that of the variable."""
        texts = pa.array([variable or None for variable, *_ in counts], pa.string())
        is_none = is_no_variable(texts, self.columns.variable).to_pylist()
        titles: dict[tuple[str, str], str] = {}
        pairs = dict.fromkeys(c[:2] for c, none in zip(counts, is_none, strict=True) if not none)
        for text, unit in pairs:
            of_variable = [u for name, u in pairs if name == text and u]
            stated = unit or (of_variable[0] if len(of_variable) == 1 else "")
            has_unit = not stated or split_title(text).unit is not None
            title = text if has_unit else f"{text} [{stated}]"
            titles[text, unit] = f"{title} (value)" if title in self.columns.keys else title
        return titles

    def _notes(self, counts: Mapping[Combination, int]) -> Iterator[str]:
        c = self.columns
        others: dict[str, int] = {}
        for (variable, unit, *_), count in counts.items():
            if variable and (variable, unit) not in self._titles:
                others[variable] = others.get(variable, 0) + count
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
        aside = {title: texts for title, texts in self._aside.items() if {*texts} - {""}}
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

    def _widen(
        self, chunk: Chunk, titles: Sequence[str], until: int | None = None
    ) -> Iterator[Chunk]:
        """Yield the rows of a chunk up to one as instants, in pieces of a bounded number of
        cells."""
        variables = self._variables(chunk)[:until]
        why = "there is no name of a variable"
        unnamed = [
            BadLine(int(chunk.lines[row]), self.columns.variable, why, chunk.original(row))
            for row in np.flatnonzero(variables == -1).tolist()
        ]
        broken = (*chunk.broken, *unnamed)
        requested = set(titles)
        is_read = np.array([title in requested for title in self.variables])
        used = variables >= 0
        if is_read.any():
            used &= is_read[variables]
        rows = np.flatnonzero(used)
        instants = self._instants(chunk, rows, variables[rows])
        step = max(100, _CELLS_AT_ONCE // len(titles))
        for start in range(0, max(1, int(instants.max(initial=-1)) + 1), step):
            part = (instants >= start) & (instants < start + step)
            some = rows[part]
            piece = self._piece(chunk, some, variables[some], instants[part] - start, titles)
            yield replace(piece, broken=broken)
            broken = ()

    def _variables(self, chunk: Chunk) -> Rows:
        """Return the position of the variable of each row; -1 of a row without a name, -2 of one
        that is no value."""
        codes, texts = _encode(chunk.columns[self.columns.variable])
        units = [""]
        if self.columns.unit:
            of_units, units = _encode(chunk.columns[self.columns.unit])
            codes = codes * len(units) + of_units
        position = {title: i for i, title in enumerate(self.variables)}
        distinct, rows = pd.factorize(codes)
        positions = []
        for code in rows.tolist():
            text = texts[code // len(units)]
            title = self._titles.get((text, units[code % len(units)]))
            positions.append(position[title] if title is not None else -2 if text else -1)
        return np.array(positions, dtype=np.int64)[distinct]

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
            keys = pd.factorize(keys)[0] + runs * (len(rows) + 1)
        keys = pd.factorize(keys)[0]
        again = pd.Series(keys * len(self.variables) + variables)
        if again.duplicated().any():
            turn = again.groupby(again).cumcount().to_numpy(np.int64)
            keys = pd.factorize(keys * (len(rows) + 1) + turn)[0]
            keys = np.arange(len(rows)) if by_variable else keys
        return np.asarray(keys, dtype=np.int64)

    def _piece(
        self, chunk: Chunk, rows: Rows, variables: Rows, instants: Rows, titles: Sequence[str]
    ) -> Chunk:
        """Return rows of a chunk, each with the positions of its variable and its instant, as a row
        for each instant."""
        c = self.columns
        count = int(instants.max(initial=-1)) + 1
        first = np.empty(count, dtype=np.int64)
        first[instants[::-1]] = rows[::-1]
        order = np.argsort(variables, kind="stable")
        ends = np.searchsorted(variables[order], np.arange(len(self.variables) + 1))
        nothing = pa.nulls(count, pa.string())
        requested = set(titles)
        columns = {t: chunk.columns[t].take(pa.array(first)) for t in c.keys if t in requested}
        for position, variable in enumerate(self.variables):
            for title, source in ((variable, c.value), (variable + QUALITY_SUFFIX, c.quality)):
                if source and title in requested:
                    some = order[ends[position] : ends[position + 1]]
                    at = np.full(count, -1, dtype=np.int64)
                    at[instants[some]] = rows[some]
                    cells = chunk.columns[source].take(pa.array(at, mask=at < 0))
                    columns[title] = cells if len(some) else nothing
                    if source == c.quality and is_titled("validity", source):
                        encoded = columns[title].dictionary_encode()
                        texts = encoded.dictionary.to_pylist()
                        texts = [VALIDITY_FLAGS.get(t.strip().casefold(), t) for t in texts]
                        columns[title] = pa.array(texts, pa.string()).take(encoded.indices)
        return Chunk(
            chunk.lines[first],
            {title: columns[title] for title in titles},
            (),
            lambda row: "\n".join(map(chunk.original, rows[instants == row].tolist())),
        )


def _join(first: Chunk, second: Chunk) -> Chunk:
    count = len(first.lines)
    columns = {
        title: pa.concat_arrays([cells, second.columns[title]])
        for title, cells in first.columns.items()
    }
    return Chunk(
        np.concatenate([first.lines, second.lines]),
        columns,
        second.broken,
        lambda row: first.original(row) if row < count else second.original(row - count),
    )


def _encode(cells: Cells) -> tuple[Rows, list[str]]:
    """Return a code for each cell, and the trimmed text of each code, empty for an empty cell."""
    encoded = cells.dictionary_encode()
    texts = [*map(_trim, encoded.dictionary.to_pylist()), ""]
    codes = encoded.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), texts


def _trim(text: str | None) -> str:
    return (text or "").strip()
