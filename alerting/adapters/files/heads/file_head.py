"""Head of a text table: where its rows begin, and which lines above them name the columns and their
units, found from the first lines as a whole: a line of the head holds text where the later lines
hold numbers or stamps."""

import csv
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from alerting.adapters.files.chunks import MOST_COLUMNS, read_titles
from alerting.adapters.files.heads.column_titles import ColumnLayout, Names
from alerting.adapters.files.heads.head_lines import (
    EMPTY,
    FILLED,
    NUMBER,
    SEPARATORS,
    STAMP,
    TEXT,
    TEXTS,
    TYPED,
    HeadLine,
    cell_kind,
    cell_unit,
    choose_separator,
    column_kinds,
    counts_time,
    has_day,
    read_records,
    split_record,
    usual_width,
)
from alerting.adapters.files.heads.plain_head import COMMENTS, REPLACED, FileHead, find_plain_head
from alerting.adapters.files.heads.preamble import read_stated
from alerting.definitions.faults import UserError, shown
from alerting.definitions.file_form import FileForm
from alerting.definitions.wording.language import join_with_and
from alerting.readings.foreign_columns import split_title
from alerting.readings.vocabulary import VOCABULARY

_BELOW = 5  # lines in which titles may follow a line of a preamble that looks like a row
_SHOWN = 60
_LONG_UNIT = 12
_COMMENT = re.compile(r'#|//|"#(NAMES|TYPES|ROWS)"')
_CELLS = {role: re.compile(words) for role, words in VOCABULARY["heads"].items()}


def find_head(path: Path, data: bytes, form: FileForm | None = None) -> FileHead:
    """Return the head of a file from its first lines, as a form states it. Raises UserError, with
    the path, if no line names columns, or what is stated cannot be."""
    form = form or FileForm()
    header_line = form.header_line
    separator = form.separator
    records = list(read_records(data))
    # spreadsheets write this into the first line
    named = re.match(r'^"?sep=(.)"?$', records[0].text) if records else None
    separator = separator or (named[1] if named else None)
    separator = "\t" if separator in ("\\t", "tab") else separator
    if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
        raise UserError(
            f"{shown(separator)} is not a separator; write one character, e.g. --sep ';'"
        )
    records = records[1:] if named else records
    if not any(record.text.strip() for record in records):
        raise UserError(_no_titles(path))
    if header_line is not None and header_line > records[-1].last:
        raise UserError(
            f"{path!s}: --header-line {header_line}: the titles must be in the first "
            f"{records[-1].last} lines of this file"
        )
    marks = [m for m in SEPARATORS if any(m in r.text for r in records)]
    marks = [separator] if separator else marks
    plain = [find_plain_head(records, mark, form) for mark in marks if form.header_line != 0]
    if len(heads := [head for head in plain if head]) == 1:
        return heads[0]
    separator = separator or choose_separator([r for r in records if r.text.strip()])
    lines = [split_record(record, separator) for record in records]
    top = next(line for line in lines if line.fields)
    try:
        next(csv.reader([top.text], delimiter=separator), None)
    except csv.Error as error:
        many = max(map(top.text.count, SEPARATORS)) + 1
        if many > MOST_COLUMNS:
            read_titles(path, [""] * many)  # which refuses so many
        raise UserError(
            f"{path!s}: line {top.number} cannot be split into titles of columns: {error!s}"
        ) from error
    return _Head(path, separator, lines, header_line, form.columns).read()


def _no_titles(path: Path) -> str:
    return f"{path!s}: the first line is empty; it must name the columns"


class _Head:
    """The first lines of a file, split into fields, with the kind of each column by its rows.

    `times`, `values`: the columns of stamps, and the others that are not empty; `typed`: those of
    stamps and of numbers.
    """

    def __init__(
        self,
        path: Path,
        separator: str,
        lines: Sequence[HeadLine],
        header_line: int | None,
        columns: tuple[str, ...],
    ) -> None:
        self.path = path
        self.separator = separator
        below = (line.last + 1 for line in lines if line.text.strip('" ,;\t') == "#NAMES")
        self.header_line = next(below, None) if header_line is None else header_line
        self.columns = columns
        marked = [line for line in lines if _COMMENT.match(line.text) and line.count(TEXT)]
        if 2 * len(marked) > sum(bool(line.fields) for line in lines):
            marked = []
        top = self.header_line or 0
        marked = [line for line in marked if not line.number <= top <= line.last]
        self._find_columns(lines, marked)
        if any(map(self._is_row, marked)):
            self._find_columns(lines, [])

    def _find_columns(self, lines: Sequence[HeadLine], comments: Sequence[HeadLine]) -> None:
        self.comments = comments
        self.lines = [line for line in lines if line not in comments]
        self.width = usual_width([line for line in self.lines if line.fields])
        rows = [line for line in self.lines if len(line.fields) == self.width]
        rows = list({line.text: line for line in reversed(rows)}.values())[::-1]
        later = rows[len(rows) // 2 :]
        columns = range(self.width)
        # a column may have cells at the begin of the file only
        by_all = zip(column_kinds(later, self.width), column_kinds(rows, self.width), strict=True)
        self.kinds = "".join(
            kind if kind != EMPTY or of_all not in TYPED else of_all for kind, of_all in by_all
        )
        cells = [[row.fields[c] for row in later if row.kinds[c] == NUMBER] for c in columns]
        counts = [c for c in columns if self.kinds[c] == NUMBER and counts_time(cells[c])]
        for c in counts[:1] if STAMP not in self.kinds else ():  # a count of time is a stamp
            self.lines = [
                line._replace(kinds=line.kinds[:c] + STAMP + line.kinds[c + 1 :])
                if has_day(line.cell(c))
                else line
                for line in self.lines
            ]
            self.kinds = self.kinds[:c] + STAMP + self.kinds[c + 1 :]
        used = [c for c, kind in enumerate(self.kinds) if kind != EMPTY]
        self.times = dict.fromkeys(c for c in used if self.kinds[c] == STAMP)  # in order
        self.typed = [c for c in used if self.kinds[c] in TYPED]
        self.values = [c for c in used if c not in self.times] or used

    def read(self) -> FileHead:
        """Return the head. Raises UserError if what is stated cannot be."""
        base = self._stated_titles() if self.header_line else None
        first = self._first_row(0 if base is None else base + 1)
        block = self._block(first, base)
        units = self._unit_line([i for i in block if i != base], base)
        if self.header_line is None:
            base = self._best_titles([i for i in block if i != units], first)
            above = [c for c in self.comments if first is None or c < self.lines[first]][-1:]
            for line in above if base is None else ():  # the lowest comment may hold the titles
                if len(line.fields) == self.width and not line.count(TYPED) and self._clashes(line):
                    lines = sorted([*self.lines, *self.comments])
                    return _Head(self.path, self.separator, lines, line.number, self.columns).read()
        return self._assemble(base, units if base is not None else None, block, first)

    def _is_row(self, line: HeadLine) -> bool:
        if len(line.fields) != self.width:
            return False
        if self.times:
            return any(line.kinds[c] == STAMP for c in self.times)
        return any(line.kinds[c] == NUMBER for c in self.typed) and not self._clashes(line)

    def _clashes(self, line: HeadLine) -> bool:
        """Return whether the line holds text in a column of numbers or stamps."""
        return any(line.kind(c) == TEXT for c in self.typed)

    def _first_row(self, start: int) -> int | None:
        """Return the first line that is as the later ones; None if nothing tells."""
        if self.header_line == 0 and not self.times:
            whole = (i for i, line in enumerate(self.lines) if len(line.fields) == self.width)
            return next(whole, None)
        for i, line in [*enumerate(self.lines)][start:]:
            is_whole = start or (not self._clashes(line) and 2 * line.count(FILLED) > self.width)
            has_titles_below = not is_whole and any(
                below.count(TEXT) >= 2 and not below.count(TYPED) and self._clashes(below)
                for below in self.lines[i + 1 : i + 1 + _BELOW]
            )
            if self._is_row(line) and not has_titles_below:
                return i
        return None

    def _block(self, first: int | None, base: int | None) -> range:
        """Return the lines directly above the first row, which may name columns or units."""
        end = len(self.lines) if first is None else first
        while end:
            line = self.lines[end - 1]
            above = self.lines[max(end - 2, 0)]
            is_whole = end > 1 and len(above.fields) >= self.width - 1 and self._clashes(above)
            # one text below a whole line of the head: `Sampling Data`
            if line.count(FILLED) and not (len(line.fields) == 1 < self.width and is_whole):
                break
            end -= 1
        start = end
        while start and len(self.lines[start - 1].fields) >= min(2, self.width):
            start -= 1
        return range(start, end) if base is None or start <= base < end else range(base, base + 1)

    def _stated_titles(self) -> int:
        """Return the line that the user named. Raises UserError if it cannot name the columns."""
        line_number = self.header_line or 0
        base = next((i for i, line in enumerate(self.lines) if line.last >= line_number), -1)
        line = self.lines[base]
        if line.number <= line_number and line.text.startswith(COMMENTS) and line.fields[0] != "#":
            bare = split_record(line._replace(text=line.text.lstrip("#/ \t")), self.separator)
            line = self.lines[base] = bare._replace(text=line.text)
        if line.number > line_number or len(line.fields) < min(2, self.width):
            raise UserError(
                f"{self.path!s}: line {line_number} does not name the {self.width} columns of the "
                "lines below; name with --header-line the line of the titles"
            )
        if self.times and self._is_row(line):
            raise UserError(
                f"{self.path!s}: line {line_number} holds values, not titles; name with "
                "--header-line the line of the titles, or 0 if no line names the columns"
            )
        return base

    def _best_titles(self, block: Sequence[int], first: int | None) -> int | None:
        """Return the line that names the columns best: the lowest with a name for each; else the
        one with names of most. None if none does."""
        if first is None:
            filled = [i for i, line in enumerate(self.lines) if line.fields]
            wide = [i for i in filled if self.lines[i].count(FILLED) >= min(2, self.width)]
            wide = [i for i in wide if len(self.lines[i].fields) >= self.width - 1]
            return next(iter(wide or filled), None)  # of a table of texts
        named = [
            i
            for i in block
            if self.lines[i].count(TEXTS)
            and not (0 in self.times and _CELLS["type_label"].match(self.lines[i].cell(0)))
        ]
        if not self.times:  # a line with a number may be a row
            named = [i for i in named if not self.lines[i].count(TYPED)] or named[:1]
        complete = [
            i for i in named if self._is_complete(i) and self._names_times(i) and self._quality(i)
        ]
        if complete:
            # of rows without stamps, a text below the titles may be a row
            is_first = not self.times and not any(line.fields for line in self.lines[: complete[0]])
            lowest = complete[0] if is_first and self.width > 2 else complete[-1]
            better = [i for i in named if self.times and i >= lowest and self._is_complete(i)]
            return max(better, key=lambda i: (self._quality(i), -i), default=lowest)

        titled = [i for i in named if self.times and self._names_times(i)]
        if titled and 2 * self._covered(titled[-1]) >= len(self.values):
            named = [i for i in named if i >= titled[-1]]

        def rank(i: int) -> tuple[bool, bool, int, int, int]:
            quality = self._quality(i)
            return self._is_complete(i), quality > 0, self._covered(i), quality, i

        best = max(named, key=rank, default=None)
        if best is None or len(self.lines[best].fields) < self.width - 1:
            line = self.lines[first - 1] if best == first - 1 else None
            if (
                line
                and not line.count(TYPED)
                and 2 * line.count(FILLED) > self.width
                and not self.columns
            ):
                raise UserError(
                    f"{self.path!s}: the rows have {self.width} fields, but line {line.number} "
                    f"names {len(line.fields)}: name all columns with --columns, in their order"
                )
            return None
        texts = sum(self.lines[best].kind(c) in TEXTS for c in self.values)
        is_whole = self._names_times(best) and self._covered(best) == len(self.values)
        return best if is_whole or 2 * texts >= len(self.values) else None

    def _covered(self, index: int) -> int:
        return sum(self.lines[index].kind(c) != EMPTY for c in self.values)

    def _is_complete(self, index: int) -> bool:
        names = [self.lines[index].cell(c) for c in self.values]
        return all(names) and len({*names}) == len(names)

    def _names_times(self, index: int) -> bool:
        return all(self.lines[index].kind(c) in TEXTS for c in self.times)

    def _quality(self, index: int) -> int:
        """Return how well texts name columns: 2 as words, 1 as codes, 0 as types and numbers."""
        names = [cell for c in self.values if (cell := self.lines[index].cell(c))]
        if all(cell_kind(name) in TYPED or _CELLS["type"].match(name) for name in names):
            return 0
        words = sum(bool(re.search(r"[^\W\d_A-Z]{2}", name)) for name in names)
        return 2 if 2 * words >= len(names) else 1

    def _unit_line(self, block: Sequence[int], base: int | None) -> int | None:
        """Return the line of units: of those above the rows, else one with a label above them."""
        holding = [i for i in block if self._has_units(i)]
        for i in reversed(holding):
            cells = enumerate(self.lines[i].fields[: self.width])
            units = [c for c, cell in cells if cell and not _is_no_unit(c, cell)]
            titled = [t for t in block if t != i] if base is None else [base]
            if any(all(self.lines[t].cell(c) for c in units) for t in titled):
                return i
        end = block[-1] if block else 0
        labelled = [i for i in range(end) if _CELLS["unit_label"].search(self.lines[i].cell(0))]
        return next((i for i in reversed(labelled) if self._has_units(i)), None)

    def _has_units(self, index: int) -> bool:
        """Return whether a line holds units of columns of numbers: nothing else, or units most of
        all where the table has stamps."""
        line = self.lines[index]
        units = texts = 0
        for column, cell in enumerate(line.fields[: self.width]):
            if not cell or cell == "1" or _is_no_unit(column, cell):
                continue
            unit = cell_unit(cell)
            if column in self.times and unit:
                continue
            if self.kinds[column] in STAMP + TEXT or line.kinds[column] == NUMBER:
                # a unit for each of several columns of numbers; the first may be a count of rows
                numbers = [c for c in self.values if c and self.kinds[c] == NUMBER]
                units_of = [line.cell(c) for c in numbers if cell_unit(line.cell(c))]
                is_of_all = 1 < len(numbers) == len(units_of) and max(map(len, units_of)) > 1
                return bool(self.times) and is_of_all
            units += bool(unit)
            texts += not unit and (1 if len(cell) <= _LONG_UNIT else len(line.fields))
        return units > 0 and (not texts or (bool(self.times) and units >= texts))

    def _rows_start(self, base: int | None, units: int | None, first: int | None) -> int:
        """Return the first line that is no head. Of a table without stamps, it follows the titles
        and units; else lines of text in columns of numbers are head, up to the first stamp."""
        if base is None:
            return first or 0
        last = base if units is None else max(base, units)
        for i in range(last + 1, first if self.times and first is not None else 0):
            if self._clashes(self.lines[i]) and not self.lines[i].count(TYPED):
                last = i
        for i in range(last + 1, len(self.lines)):
            line = self.lines[i]
            if line.count(FILLED) or (line.fields and not self.times):
                return i
        return len(self.lines)

    def _assemble(
        self, base: int | None, units: int | None, block: Sequence[int], first: int | None
    ) -> FileHead:
        start = self._rows_start(base, units, first)
        last = self.lines[start].number - 1 if start < len(self.lines) else self.lines[-1].last
        comments = [line for line in self.comments if line.number <= last]
        stamps = [line.cell(c) for c in self.times for line in self.lines if line.kind(c) == STAMP]
        ts = [c for c in self.times if len(self.times) == 1 and all(map(has_day, stamps))]
        names = Names(["ts" if c in ts else f"column_{c + 1}" for c in range(self.width)], set())
        if base is not None:
            upper = [self.lines[i] for i in block if i < base and i != units]
            titled = [i for i in block if i != units and self.times and self._names_times(i)]
            of_times = self.lines[base if not titled or base in titled else titled[-1]]
            columns = ColumnLayout(self.width, self.kinds, self.times)
            names = columns.name(
                self.lines[base], upper, of_times, may_number=bool(self.header_line)
            )
        is_named = self.columns or self.header_line == 0
        if not (self.lines[0].fields or is_named or (base and self.lines[base].count(TEXTS))):
            raise UserError(_no_titles(self.path))
        unit_line = None if units is None else self.lines[units]
        above = sorted([*self.lines[:start], *comments])
        untitled = [line for line in above if line.number not in names.lines]
        stated = read_stated(line.fields for line in untitled)
        unread = [
            line
            for line in self.lines[:start]
            if line.count(FILLED)
            and line in untitled
            and line is not unit_line
            and not (any(stated) and stated != read_stated(o.fields for o in untitled if o != line))
        ]
        notes = self._notes(names, unread, start)
        whole = [i for i in block if self._is_complete(i) and self._names_times(i)]
        also = [
            self.lines[i].number
            for i in whole
            if i not in (units, base) and base is not None and len(self.values) > 2
            if self._quality(i) >= self._quality(base)
        ]
        notes += [f"line {n} names all columns, too: --header-line {n} takes it" for n in also[-1:]]
        titles = self.columns or names.titles
        usual = (len(names.titles), self.width, len(self.kinds.rstrip(EMPTY)), len(titles))
        if len(titles) not in usual[: 3 + (not self.columns or self._grows(len(names.titles)))]:
            raise other_columns(self.path, len(titles), len(names.titles))
        return FileHead(
            separator=self.separator,
            lines=last,
            titles=tuple(titles),
            units=self._units(titles, unit_line),
            width=self._row_width(titles, names.titles),
            title_lines=() if self.columns else tuple(sorted(names.lines)),
            unit_line=unit_line.number if unit_line else None,
            notes=tuple(notes),
            stated=stated,
            comments=tuple(  # `#` anywhere, another mark only above the rows
                mark
                for mark in COMMENTS
                if any(
                    line.text.startswith(mark) and (mark == "#" or line.number <= last)
                    for line in self.comments
                )
            ),
            texts=frozenset(line.text for line in above if line.text.strip()),
            title_texts=tuple(line.text for line in above if line.number in names.lines),
            tables=names.tables,
            grows=self._grows(len(names.titles)),
        )

    def _units(self, titles: Sequence[str], line: HeadLine | None) -> tuple[str, ...]:
        cells = [line.cell(c).strip("[]()").strip() if line else "" for c in range(len(titles))]
        return tuple(
            ""
            if c in self.times
            or split_title(title).unit
            or _CELLS["placeholder"].fullmatch(cell)
            or cell == title
            or (c == 0 and not cell_unit(cell))
            or (self.kinds[c : c + 1] == TEXT and not cell_unit(cell))
            else cell
            for c, (title, cell) in enumerate(zip(titles, cells, strict=True))
        )

    def _grows(self, titles: int) -> bool:
        """Return whether more columns are named than the file has titles, and rows have."""
        rows = (len(line.fields) for line in self.lines[1:] if line.count(TYPED))
        return len(self.columns) > titles and titles in rows

    def _row_width(self, titles: Sequence[str], named: Sequence[str]) -> int:
        """Return the fields of most rows; the number of titles unless these rows lack remarks at
        their end, or have empty fields there."""
        count = len(titles)
        lacks_remarks = all(map(_CELLS["at_end"].match, titles[self.width :]))
        is_cut = self.kinds[count:].strip(EMPTY) or not lacks_remarks
        return len(named) if self._grows(len(named)) else count if is_cut else self.width

    def _notes(self, names: Names, unread: Sequence[HeadLine], start: int) -> list[str]:
        """Return what the form does not say: which lines are not read, and titles that changed."""
        lines = sorted(names.lines)
        notes = []
        if self.columns and lines:
            numbers = f"line{'s' * (len(lines) > 1)} {_list_numbers(lines)}"
            notes.append(REPLACED.format(numbers))
        elif not lines and not self.columns and self.header_line != 0:
            top = next(line.number for line in self.lines if line.fields)
            first = self.lines[start].number if start < len(self.lines) else top
            where = "the first line" if first == top else f"line {first}"
            notes.append(f"{where} holds values, not titles: name the columns with --columns")
        if unread:
            cells = " ".join(cell for cell in unread[0].fields if cell)
            cells = cells if len(cells) <= _SHOWN else f"{cells[: _SHOWN - 1]}…"
            numbers = _list_numbers([line.number for line in unread])
            verb = "s" if len(unread) > 1 else ""
            notes.append(f"line{verb} {numbers} {'are' if verb else 'is'} not read: {cells!r}")
        if names.is_numbered and not names.tables:
            notes.append("titles that come again are numbered, such as (2)")
        if names.tables:
            parts = (
                join_with_and(*(repr(names.titles[c]) for c in table)) for table in names.tables
            )
            notes.append(f"tables side by side, each with its own stamps: {'; '.join(parts)}")
        return notes


def other_columns(path: Path, stated: int, columns: int) -> UserError:
    """Return the refusal of another number of names than the table has columns."""
    return UserError(
        f"{path!s}: --columns gives {stated} names, but the table has {columns} columns; name them "
        "all, in their order"
    )


def _is_no_unit(column: int, cell: str) -> bool:
    """Return whether a cell of a line of units is its label, or stands for a stamp."""
    if column == 0 and _CELLS["unit_label"].search(cell):
        return True
    return _CELLS["placeholder"].fullmatch(cell.strip("[]()")) is not None


def _list_numbers(numbers: Sequence[int]) -> str:
    """Return numbers of lines, of more than two in a row the first and the last: `3 to 6 and 9`."""
    texts: list[str] = []
    for _, group in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        row = [str(number) for _, number in group]
        texts += row if len(row) < 3 else [f"{row[0]} to {row[-1]}"]
    return join_with_and(", ".join(texts[:-1]), texts[-1]) if len(texts) > 1 else "".join(texts)
