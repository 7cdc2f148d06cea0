"""The first lines of a text table, each with the kinds of its cells; the separator by which they
are a table, and what kind of cells its columns hold."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from alerting.adapters.files.chunks import MOST_COLUMNS
from alerting.adapters.files.heads.preamble import CLOCK
from alerting.readings.foreign_columns import split_title
from alerting.readings.written_values import FAULT_TEXTS, MISSING_TEXTS

_MOST_LINES = 120
_MOST_BYTES = 256 << 10
_LEAST_LINES = 8
_LONGEST_RECORD = 40  # lines of a record with line breaks in quotation marks
SEPARATORS = ",;\t|"
EMPTY = " "
WORD = "w"  # for a missing value, or for a fault
NUMBER = "n"
STAMP = "s"
TEXT = "t"
TEXTS = TEXT + WORD
TYPED = NUMBER + STAMP
FILLED = TYPED + TEXTS
_MISSING = frozenset(MISSING_TEXTS)
_FAULTS = frozenset(FAULT_TEXTS)
_A_NUMBER = re.compile(
    r"[-+]? *(\d+([.,' \u00a0\u202f]\d+)*[.,]?|[.,]\d+)([eE][-+]?\d+)?"
    r"( ?(%|[°A-Za-zµ/²³]{1,6}))?-?$"
)
_DAY = re.compile(
    r"(?:[^\W\d]{2,9}\.?,? )?(?:\d{4}([-./])\d{1,2}\1\d{1,2}|\d{1,2}([-./])\d{1,2}\2(?:\d{4}|\d\d)"
    r"|\d{1,2}[-. /]+[^\W\d]{3,9}[-. /,]+\d{2,4}|[^\W\d]{3,9}\.? \d{1,2},? \d{4})"
    r"(?:[T ,]+\d[^;|\t]*)?$"
)
_RULE = re.compile(r"(?=.*[-=]{6})[-=+|;,\t ]+$")  # a line drawn between titles and rows
_SINCE_1970 = re.compile(r"(\d{10}(\.\d+)?|\d{13}|\d{16}|\d{19})$")
_SECONDS = (946_684_800, 4_102_444_800)  # from 2000 to 2100
_DIGITS_OF_DAY = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])[T _-]?\d{4,9}$")
_UNIT_WORD = re.compile(r"(?i)(milli)?(volts?|amps?|watts?)|deg ?[cfk]|percent|seconds?|minutes?")


class HeadLine(NamedTuple):
    """One of the first records: its first and last line, its text, its fields without the blanks
    around them, and a letter for the kind of each."""

    number: int
    last: int
    text: str
    fields: tuple[str, ...] = ()
    kinds: str = ""

    def count(self, kinds: str) -> int:
        """Return the number of its fields of these kinds."""
        return sum(map(self.kinds.count, kinds))

    def cell(self, column: int) -> str:
        """Return a field; it is empty behind the last one."""
        return self.fields[column] if column < len(self.fields) else ""

    def kind(self, column: int) -> str:
        """Return the kind of a field; it is empty behind the last one."""
        return self.kinds[column] if column < len(self.kinds) else EMPTY


def read_records(data: bytes) -> Iterator[HeadLine]:
    """Yield the first records of a file, not split into fields."""
    start = 0
    number = 1
    while (
        start < len(data)
        and number <= _MOST_LINES
        and (start <= _MOST_BYTES or number <= _LEAST_LINES)
    ):
        end = line_end = data.find(b"\n", start) + 1 or len(data)
        count = 1
        while data.count(b'"', start, end) % 2 and end < len(data) and count < _LONGEST_RECORD:
            end = data.find(b"\n", end) + 1 or len(data)
            count += 1
        if data.count(b'"', start, end) % 2:  # a stray mark
            end = line_end
            count = 1
        text = data[start:end].decode("utf-8", "ignore").removesuffix("\n").rstrip("\r")
        yield HeadLine(number, number + count - 1, text)
        number += count
        start = end


def split_record(record: HeadLine, separator: str, most: int | None = None) -> HeadLine:
    """Return a record with its fields, and with the kinds of the first `most` or of all. A record
    that cannot be split has one field."""
    if not record.text.strip() or _RULE.match(record.text):
        return record
    many = record.text.count(separator)
    try:
        is_hostile = many > 2 * MOST_COLUMNS
        fields = (
            [""] * (many + 1)
            if is_hostile
            else next(csv.reader([record.text], delimiter=separator), [])
        )
    except csv.Error:
        fields = [record.text]
    stripped = tuple(field.strip() for field in fields)
    return record._replace(fields=stripped, kinds="".join(map(cell_kind, stripped[:most])))


def cell_kind(cell: str) -> str:
    """Return the letter for the kind of a cell without blanks around it."""
    if not cell:
        return EMPTY
    if _DAY.match(cell) or CLOCK.match(cell):
        return STAMP
    if _A_NUMBER.match(cell):
        return NUMBER
    return WORD if cell in _MISSING or cell.lower() in _FAULTS else TEXT


def has_day(cell: str) -> bool:
    """Return whether a cell is a stamp with a date, or a count of time."""
    return bool(_DAY.match(cell) or _SINCE_1970.match(cell) or _DIGITS_OF_DAY.match(cell))


def cell_unit(cell: str) -> str:
    """Return the known unit that a cell holds, with or without brackets; empty if it holds none."""
    inside = re.fullmatch(r"[\[(](.*)[\])]", cell)
    bare = (inside[1] if inside else cell).strip()
    if re.search(r"[\[\]()]", bare):
        return ""
    unit = split_title(f"x ({bare})").unit  # as that of a title: `x (°C)`
    return unit or (bare if _UNIT_WORD.fullmatch(bare) else "")


def choose_separator(records: Sequence[HeadLine]) -> str:
    """Return the separator by which most lines have as many fields, and these hold numbers and
    stamps; the rarest one if none does."""
    texts = [_outside_quotes(record.text) for record in records]

    def fitness(separator: str) -> tuple[bool, float, float, int]:
        split = (split_record(record, separator, 50) for record in records)
        lines = [line for line in split if line.fields]
        width = usual_width(lines)
        kinds = [line.kinds for line in lines if len(line.fields) == width]
        whole = Counter("".join(kinds))
        typed = whole[NUMBER] + whole[STAMP]
        separates = separator in _outside_quotes(lines[0].text) or any(
            line.count(STAMP) or not line.count(NUMBER) for line in lines if len(line.fields) > 1
        )
        as_first = sum(len(line.fields) == len(lines[0].fields) for line in lines)
        score = typed / max(1, typed + whole[TEXT]) * len(kinds) / len(lines)
        return width > 1 and separates, score, as_first / len(lines), width

    scores = {separator: fitness(separator) for separator in SEPARATORS}
    best = max(scores, key=lambda separator: scores[separator])
    if scores[best][0]:
        return best
    return min(SEPARATORS, key=lambda separator: sum(separator in text for text in texts))


def _outside_quotes(text: str) -> str:
    return "".join(text.split('"')[::2])


def usual_width(lines: Sequence[HeadLine]) -> int:
    """Return the number of fields of most lines, in which numbers and stamps count most."""
    weights: Counter[int] = Counter()
    for line in lines:
        weights[len(line.fields)] += 10 * line.count(TYPED) + line.count(FILLED)
    return max(weights, key=lambda width: weights[width], default=1)


def column_kinds(rows: Sequence[HeadLine], width: int) -> str:
    """Return the kind of each column of rows of this width: number or stamp if at least half of the
    cells are."""
    kinds = ""
    for column in range(width):
        counts = Counter(row.kinds[column] for row in rows)
        typed = counts[NUMBER] + counts[STAMP]
        if typed and typed >= counts[TEXT]:
            kinds += STAMP if counts[STAMP] >= counts[NUMBER] else NUMBER
        else:
            kinds += TEXT if counts[TEXT] or counts[WORD] else EMPTY
    return kinds


def counts_time(cells: Sequence[str]) -> bool:
    """Return whether cells of numbers are times: counts since 1970 in their order, or digits of a
    date and a clock."""
    is_varied = len(cells) > 1 and cells[0] != cells[-1]
    if not (is_varied and all(map(_SINCE_1970.match, cells))):
        return is_varied and all(map(_DIGITS_OF_DAY.match, cells))
    counts = [int(cell[:10]) for cell in cells]
    in_order = sorted(counts)
    is_recent = _SECONDS[0] < in_order[0] and in_order[-1] < _SECONDS[1]
    return in_order in (counts, counts[::-1]) and is_recent
