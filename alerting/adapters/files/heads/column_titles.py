"""Titles of columns, joined from several lines of a file as far as it needs to tell columns apart;
and which columns are a table of their own beside another one."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from alerting.adapters.files.heads.head_lines import EMPTY, FILLED, STAMP, TEXTS, HeadLine
from alerting.readings.vocabulary import VOCABULARY


class Names(NamedTuple):
    """Titles of columns, the numbers of the lines that they are from, and the columns of tables
    side by side. `is_numbered`: some came again, and have a number."""

    titles: list[str]
    lines: set[int]
    tables: tuple[tuple[int, ...], ...] = ()
    is_numbered: bool = False


@dataclass(frozen=True)
class ColumnLayout:
    """The columns of a table by its rows: their number, the letter of the kind of each, and which
    hold stamps."""

    width: int
    kinds: str
    times: Mapping[int, None]

    def name(
        self,
        base: HeadLine,
        upper: Sequence[HeadLine],
        of_times: HeadLine,
        *,
        may_number: bool,
    ) -> Names:
        """Return the titles of a line, with as much of the lines above it as tells them apart; the
        titles of stamps, and those that it lacks, from the line that names these. `may_number`:
        titles that come again are numbered in any case."""
        nearest = [line for line in reversed(upper) if not line.count(STAMP)]
        aligned = [line for line in nearest if len(line.fields) == self.width]
        titles = list(base.fields)
        titles += [""] * (self.width - len(titles) if aligned else 0)
        while len(titles) > self.width and not titles[-1]:
            titles.pop()
        used = {base.number}
        for column, title in enumerate(titles[: self.width]):
            further = [of_times] if column in self.times or not title else []
            further += nearest if not title and self.kinds[column] != EMPTY else []
            line = next((line for line in further if line.kind(column) in TEXTS), base)
            titles[column] = line.cell(column)
            used.add(line.number)
        kind = re.fullmatch(VOCABULARY["heads"]["kind"], base.cell(0))  # above Min and Max
        is_kind = 0 in self.times and kind is not None
        if is_kind or _repeated(titles[c] for c in self._columns_of(titles)):
            titles, more = self._make_distinct(titles, base, aligned if is_kind else nearest)
            used |= more
        tables = self._tables(titles)
        is_numbered = bool(_repeated(titles)) and bool(
            tables or may_number or any(2 * line.count(FILLED) >= self.width for line in aligned)
        )
        return Names(_number(titles) if is_numbered else titles, used, tables, is_numbered)

    def _columns_of(self, titles: Sequence[str]) -> list[int]:
        """Return the columns of values that have a title."""
        return [c for c, title in enumerate(titles) if title and c not in self.times]

    def _make_distinct(
        self, titles: list[str], base: HeadLine, nearest: Sequence[HeadLine]
    ) -> tuple[list[str], set[int]]:
        """Return the titles after those of the highest line above that makes them distinct, else of
        the nearest lines that do; and the numbers of these lines."""
        columns = self._columns_of(titles)
        for codes in (False, True):
            for line in reversed(nearest):
                joined = self._join(line, base, titles)
                is_code = 2 * sum(line.kind(c) in TEXTS for c in columns) < len(columns)
                if is_code == codes and not _repeated(joined[c] for c in columns):
                    return joined, {line.number}
        joined = titles
        used = set()
        for line in nearest:
            if _repeated(joined[c] for c in columns):
                joined = self._join(line, base, joined)
                used.add(line.number)
        return (joined, used) if len({*joined}) > len({*titles}) else (titles, set())

    def _join(self, line: HeadLine, base: HeadLine, titles: Sequence[str]) -> list[str]:
        """Return the titles after those of a line above: a merged cell there is empty, and belongs
        to the cell before it, which a title that comes again needs."""
        repeated = _repeated(titles[c] for c in self._columns_of(titles))
        joined = []
        merged = ""
        for column, title in enumerate(titles):
            cell = line.cell(column)
            if column in self.times:
                merged = cell if base.cell(column) else ""
                joined.append(title)
                continue
            merged = cell or merged
            is_named = title and merged and merged != title and (cell or title in repeated)
            joined.append(f"{merged} {title}" if is_named else title)
        return joined

    def _tables(self, titles: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """Return the columns of tables side by side: an empty column is between them, or the title
        of the stamps comes again."""
        groups: list[list[int]] = [[]]
        first = next(iter(self.times), 0)
        for column, title in enumerate(titles[: self.width]):
            is_gap = not title and self.kinds[column] == EMPTY
            is_later = title and column in self.times and column != first
            if is_gap or (is_later and _stem(title) == _stem(titles[first])):
                groups.append([])
            if not is_gap:
                groups[-1].append(column)
        tables: list[list[int]] = [[]]
        for group in groups:
            if all(self.times.keys() & {*g} for g in (group, tables[-1])):
                tables.append(group)
            else:
                tables[-1] = [*tables[-1], *group]
        return tuple(map(tuple, tables)) if len(tables) > 1 else ()


def _repeated(titles: Iterable[str]) -> set[str]:
    return {title for title, times in Counter(titles).items() if title and times > 1}


def _stem(title: str) -> str:
    """Return a title without a number at its end: `Time 1` and `Time 2` are titles of times."""
    return re.sub(r"(?:(?<![\W_])[\W_]+|(?<!\d))\d++\W*+$", "", title)


def _number(titles: Sequence[str]) -> list[str]:
    """Return the titles, each that comes again with its number: `Date`, `Date (2)`."""
    counters: dict[str, Iterator[int]] = defaultdict(lambda: count(1))
    numbered = ((title, next(counters[title])) for title in titles)
    return [f"{title} ({number})" if title and number > 1 else title for title, number in numbered]
