"""One sheet of a workbook as text with tabs, one line for each row: a process of its own, since a
sheet is in memory as a whole and may say that it is larger than any memory.

`python -m alerting.adapters.files.sheet_text TARGET MEMORY MARK SHEET <FILE` writes the text within
MEMORY bytes, its numbers with the decimal mark MARK (empty: that of its texts), and prints what it
is as JSON. SHEET may be empty."""

import csv
import html
import json
import posixpath
import re
import resource
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial, reduce
from math import isfinite
from pathlib import Path
from typing import Any

from python_calamine import (
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

_LIMITS = {
    resource.RLIMIT_FSIZE: 1 << 30,  # bytes of the text
    resource.RLIMIT_CPU: 300,  # s
    resource.RLIMIT_CORE: 0,
}
_FILE = "/dev/stdin"  # without an ending, which may be that of another kind
_BLOCK = 1 << 20
_BOOK = "xl/workbook.xml"
_RELATIONS = "xl/_rels/workbook.xml.rels"
_STYLES = "xl/styles.xml"
_LOOKED_AT = 200  # rows in which a sheet must show that it holds a table
_HALF_MS = timedelta(microseconds=500)
_STARTS_WITH_DIGIT = re.compile(r"\s?[-+]?[0-9]")
_SHOWS = {
    ",": re.compile(r"^[-+]?(?:\d{1,3}(?:\.\d{3}){1,5}|\d{1,15}),\d{1,15}\D{0,8}$"),
    ".": re.compile(r"^[-+]?(?:\d{1,3}(?:,\d{3}){1,5}|\d{1,15})\.\d{1,15}\D{0,8}$"),
}
_NAME = r"(?:[a-z]\w{0,20}:)?"
_ATTRIBUTE = re.compile(r'\b([\w:]{1,40})="([^"<>]*)"')
_TAG = re.compile(rf"<{_NAME}(\w+)\s([^<>]*)>")
_CELL = re.compile(  # its attributes, the tag of its formula, and its value
    rf"<{_NAME}c ([^<>]*)>\s*+(?:(<{_NAME}f\b[^<>]*>)(?:[^<>]*</{_NAME}f>)?+)?+\s*+"
    rf"(?:<{_NAME}v ?/>|<{_NAME}v>([^<>]*)</{_NAME}v>)?+\s*+</{_NAME}c>"
)
_PERCENTS = {"9", "10"}  # formats that every workbook has
_CLOCK_YEARS = ("1899", "1900", "1904")  # of times that count on behind midnight
_LITERAL = re.compile(r'"[^"]*"|\\.')
Marks = Mapping[tuple[int, int], str]
"""Cells that show something else than their value, by row and column: `%`, or an error."""


class SheetFault(Exception):
    """Why no sheet is written, in one word; and the names of sheets that may be meant."""


def write_sheet(book: CalamineWorkbook, target: Path, mark: str, name: str) -> str:
    """Write a sheet as text; return its name. Raises SheetFault for one that cannot be chosen, or
    whose formulas have no values."""
    sheet = _choose(book, name)
    marks = _read_marks(sheet.name) if zipfile.is_zipfile(_FILE) else {}
    shows: Counter[str] = Counter()
    _write(sheet, target, marks, mark or ".", shows)
    if not mark and shows[","] > shows["."]:
        _write(sheet, target, marks, ",", shows)
    return sheet.name


def _shown_sheets(book: CalamineWorkbook) -> list[str]:
    """Return the names of the sheets with cells that are not hidden."""
    return [
        sheet.name
        for sheet in book.sheets_metadata
        if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible
    ]


def _choose(book: CalamineWorkbook, name: str) -> CalamineSheet:
    """Return the sheet of this name, else the only one that holds a table; hidden ones do not
    count."""
    if name:
        named = [n for n in book.sheet_names if n == name]
        folded = name.strip().casefold()
        named = named or [n for n in book.sheet_names if n.strip().casefold() == folded]
        if not named:
            raise SheetFault("unknown", *_shown_sheets(book))
        return book.get_sheet_by_name(named[0])
    names = _shown_sheets(book)
    tables = [name for name in names if len(names) == 1 or _is_table(book.get_sheet_by_name(name))]
    if len(tables) != 1:
        raise SheetFault("several" if tables else "none", *(tables or names))
    return book.get_sheet_by_name(tables[0])


def _is_table(sheet: CalamineSheet) -> bool:
    """Return whether two rows hold a number or a time beside another cell."""
    rows = 0
    for row in sheet.to_python(nrows=_LOOKED_AT):
        filled = [cell for cell in row if cell != ""]
        typed = [c for c in filled if not isinstance(c, str) or _STARTS_WITH_DIGIT.match(c)]
        rows += bool(typed) and len(filled) > 1
    return rows > 1


def _write(
    sheet: CalamineSheet, target: Path, marks: Marks, decimal: str, shows: Counter[str]
) -> None:
    """Write the rows from the first one of the sheet on, without empty columns at its left; count
    the decimal marks that its texts show."""
    first = sheet.start[1] if sheet.start else 0
    with target.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, delimiter="\t", lineterminator="\n")
        for number, row in enumerate(sheet.iter_rows()):
            cells = [*row]
            for column in range(len(cells)) if marks else ():
                if mark := marks.get((number, first + column)):
                    cells[column] = _write_marked(cells[column], mark, decimal)
            texts = [_write_cell(cell, decimal) for cell in cells]
            if any(texts):
                lines.writerow(texts)
            else:
                file.write("\n")
            for cell in row:
                if type(cell) is str and _STARTS_WITH_DIGIT.match(cell):
                    shows.update(m for m, form in _SHOWS.items() if form.match(cell.strip()))


def _write_marked(cell: Any, mark: str, decimal: str) -> Any:
    """Return an error, or a number as the percent that is shown, exactly."""
    if mark != "%":
        return mark
    return f"{Decimal(repr(cell)).scaleb(2):f}%".replace(".", decimal) if cell != "" else ""


def _write_cell(cell: Any, decimal: str) -> str:
    """Return a cell as text that is read as the same value, its line breaks as blanks."""
    if isinstance(cell, str):
        return " ".join(re.split(r"[\t\r\n]+", cell))
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int | float):
        return _write_number(cell).replace(".", decimal)
    if isinstance(cell, timedelta):
        seconds, millis = divmod(round(cell / timedelta(milliseconds=1)), 1000)
        clock = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        return clock + f".{millis:03}" * bool(millis)
    text = str(cell + _HALF_MS if isinstance(cell, datetime) else cell)
    if text[:4] in _CLOCK_YEARS:
        text = text[11:] or "00:00:00"
    return text if "." not in text else text[: text.index(".") + 4].removesuffix(".000")


def _write_number(number: float) -> str:
    """Return a number with its digits, and with a point where it has an exponent."""
    if number == int(number) if isfinite(number) and abs(number) < 1e15 else False:
        return str(int(number))
    text = repr(number)
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def _read_marks(name: str) -> Marks:
    """Return the errors of a sheet, and its numbers that are shown as percent. Raises SheetFault if
    a formula has no value, or 0 where all are to be computed when the file is opened: the program
    that wrote it has not computed it."""
    marks: dict[tuple[int, int], str] = {}
    with zipfile.ZipFile(_FILE) as packed:
        part = _part_of_sheet(packed, name)
        if "content.xml" in packed.namelist():
            _refuse_percents(packed)
        percents = _percent_styles(packed) if part else set()
        books = _read_tags(packed, _BOOK, "calcPr") if part else []
        never = {"", "0"} if any(b.get("fullCalcOnLoad") == "1" for b in books) else {""}
        for block in _rows(packed, part) if part else ():
            if not percents and 't="e"' not in block and "f>" not in block and "<f" not in block:
                continue
            for attributes, formula, value in _CELL.findall(block):
                about = dict(_ATTRIBUTE.findall(attributes))
                kind = about.get("t", "n")
                if formula and value in never and kind != "str":
                    raise SheetFault("formulas")
                if kind == "e" or (kind == "n" and about.get("s") in percents):
                    letters, digits = re.findall(r"[A-Z]+|[0-9]+", about["r"])
                    column = reduce(lambda number, c: 26 * number + ord(c) - 64, letters, 0)
                    marks[int(digits) - 1, column - 1] = value if kind == "e" else "%"
    return marks


def _rows(packed: zipfile.ZipFile, part: str) -> Iterator[str]:
    """Yield whole rows of a sheet as they are written, about a megabyte at a time."""
    begun = ""
    with packed.open(part) as stream:
        while piece := stream.read(_BLOCK):
            rows, end, begun = (begun + piece.decode("latin-1")).rpartition("row>")
            yield rows + end
            if len(begun) > 16 * _BLOCK:
                raise ValueError("a row of more than 16 MB")


def _refuse_percents(packed: zipfile.ZipFile) -> None:
    """Raise SheetFault if a document of LibreOffice shows a number as percent: the library does not
    tell which."""
    with packed.open("content.xml") as stream:
        if any(b'-type="percentage"' in block for block in iter(partial(stream.read, _BLOCK), b"")):
            raise SheetFault("percents")


def _part_of_sheet(packed: zipfile.ZipFile, name: str) -> str | None:
    """Return the file that holds the cells of a sheet, None if there is none with cells as XML."""
    files = {*packed.namelist()}
    if not {_BOOK, _RELATIONS} <= files:
        return None
    sheets = _read_tags(packed, _BOOK, "sheet")
    ids = [v for s in sheets if s.get("name") == name for k, v in s.items() if k.endswith(":id")]
    for relation in _read_tags(packed, _RELATIONS, "Relationship"):
        target = posixpath.normpath(posixpath.join("/xl", relation.get("Target", ""))).lstrip("/")
        if relation.get("Id") in ids and target in files:
            return target
    return None


def _percent_styles(packed: zipfile.ZipFile) -> set[str]:
    """Return the numbers of the styles that show a number as percent."""
    if _STYLES not in packed.namelist():
        return set()
    formats = _read_tags(packed, _STYLES, "numFmt")
    codes = {f.get("numFmtId"): _LITERAL.sub("", f.get("formatCode", "")) for f in formats}
    percents = _PERCENTS | {id for id, code in codes.items() if "%" in code}
    styles = _read_tags(packed, _STYLES, "xf", within="cellXfs")
    return {str(n) for n, style in enumerate(styles) if style.get("numFmtId") in percents}


def _read_tags(
    packed: zipfile.ZipFile, part: str, tag: str, within: str = ""
) -> list[dict[str, str]]:
    """Return the attributes of the tags of this name in a part, or in one element of it."""
    text = packed.read(part).decode("utf-8", "replace")
    if within:
        text = text.partition(f"{within} ")[2].partition(f"{within}>")[0]
    tags = [attributes for name, attributes in _TAG.findall(text) if name == tag]
    return [{k: html.unescape(v) for k, v in _ATTRIBUTE.findall(tag)} for tag in tags]


def main(target: str, most_memory: str, mark: str, sheet: str) -> dict[str, Any]:
    """Return the name of the sheet that was written, and the names of all that are shown; or why
    none was: `fault`, and the names of those that may be meant."""
    for limit, most in (*_LIMITS.items(), (resource.RLIMIT_AS, int(most_memory))):
        resource.setrlimit(limit, (most, most))
    try:
        with CalamineWorkbook.from_path(_FILE) as book:
            name = write_sheet(book, Path(target), mark, sheet)
            return {"sheet": name, "sheets": _shown_sheets(book)}
    except SheetFault as fault:
        return {"fault": fault.args[0], "sheets": fault.args[1:]}
    except (PasswordError, MemoryError) as error:
        return {"fault": "password" if isinstance(error, PasswordError) else "memory"}
    except BaseException as error:  # the library panics, too
        is_encrypted = "EncryptedPackage".encode("utf-16-le") in Path(_FILE).read_bytes()
        return {"fault": "password" if is_encrypted else "damaged", "why": str(error)[:200]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
