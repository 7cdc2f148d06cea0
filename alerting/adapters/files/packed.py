"""Files with a table inside: a sheet of a workbook, which becomes text with tabs, and the one table
of a zip archive. Both become a temporary copy, bounded in bytes, memory and time."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from alerting.adapters.files.chunks import FileContent, magic
from alerting.definitions.faults import UserError, shown
from alerting.definitions.wording.language import ENGLISH, Styled, join_first

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # of .xls, and of workbooks with a password
PACKED = (b"PK\x03\x04", b"PK\x05\x06", _OLE)
"""How workbooks and zip archives begin."""
MOST_BYTES = 2 << 30  # of all that an archive holds
MOST_RATIO = 200  # times as large as it is packed
LEAST_MEMORY = 300 << 20  # bytes in which a workbook is read: some 3.5 million cells
_MEMORY_RATIO = 20  # bytes for each byte of a larger workbook
MOST_MEMORY = 640 << 20  # some 8 million cells
_SMALL = 16 << 20  # bytes, of which the ratio does not matter
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_OF_WORKBOOK = {"[Content_Types].xml", "content.xml"}
_READER = f"{__package__}.sheet_text"
_HIDDEN = re.compile(r"(?:^|/)(?:\.[^./]|__MACOSX/)")
_TABLES = {".csv", ".tsv", ".parquet", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"}
_SHOWN = 8
_FAULTS: Mapping[str, str] = {
    "several": "holds tables on several sheets: {sheets}; name the one to import with --sheet",
    "unknown": "has no sheet {sheet}; name with --sheet one of {sheets}",
    "none": "holds no table: none of its sheets has rows with numbers or times; name with --sheet "
    "the one to import: {sheets}",
    "formulas": "holds formulas that were never computed; open it in a spreadsheet program, save "
    "it, and import that",
    "percents": "shows numbers as percent, which only .xlsx tells apart from shares; save it as "
    ".xlsx, and import that",
    "password": "is protected by a password; save it without one, and import that",
    "memory": "needs more than {most} MB of memory, or five minutes, to be read; delete cells far "
    "from the table, or save the sheet as CSV, and import that",
    "damaged": "cannot be read as a workbook, it may be damaged ({why}); open it in a spreadsheet "
    "program, save it as .xlsx, and import that",
}


class SheetWanted(UserError):
    """Refusal of a workbook without a sheet that is meant. `sheets`: those that may be."""

    def __init__(self, message: str, sheets: tuple[str, ...]) -> None:
        super().__init__(message)
        self.sheets = sheets


def find_content(path: Path, sheet: str | None = None, decimal: str | None = None) -> FileContent:
    """Return where the table of a file lies. `sheet`, `decimal`: the sheet of a workbook, and the
    decimal mark of its texts, if they are stated. Raises UserError, with what to do, for a file
    that is none, or a workbook or archive of which no one table can be read within bounds."""
    if not magic(path).startswith(PACKED):
        return FileContent(path)
    now = path.stat()
    return _unpack(path, sheet, decimal or "", (now.st_size, now.st_mtime_ns, now.st_ino))


@lru_cache(maxsize=2)
def _unpack(path: Path, sheet: str | None, decimal: str, _version: tuple[int, ...]) -> FileContent:
    """Return the copy of the table of a file, of the last ones the same."""
    return _copy_table(path, path, sheet, decimal)


forget_copies = _unpack.cache_clear
"""Delete the copies of the last files, but those that are in use."""


def _make_copy() -> tuple[IO[bytes], Path]:
    """Return an empty file without a name, which no process leaves behind, and its path here."""
    copy = TemporaryFile()  # noqa: SIM115 - its content owns it
    return copy, Path(f"/proc/self/fd/{copy.fileno()}")


def _copy_table(path: Path, file: Path, sheet: str | None, decimal: str) -> FileContent:
    """Return a copy of the table in a workbook or archive; `path`: its name in messages."""
    if magic(path, file).startswith(_OLE):
        return _copy_sheet(path, file, sheet, decimal)
    copy, inside = _make_copy()
    try:
        with zipfile.ZipFile(file) as packed:
            members = [member for member in packed.infolist() if not member.is_dir()]
            _refuse_bomb(path, members)
            if {member.filename for member in members} & _OF_WORKBOOK:
                return _copy_sheet(path, file, sheet, decimal)
            with packed.open(_only_table(path, members, is_nested=file != path)) as table:
                shutil.copyfileobj(table, copy)  # at most the stated bytes; more are an error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"{path!s}: the archive or workbook cannot be unpacked, it may be damaged: {error!s}"
        ) from error
    copy.flush()
    if magic(path, inside).startswith(PACKED):
        return _copy_table(path, inside, sheet, decimal)
    return FileContent(inside, copy=copy)


def _refuse_bomb(path: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    """Raise UserError for an archive that is too large when it is unpacked, or packed otherwise
    than is read within bounds."""
    size = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if size > MOST_BYTES or size > max(_SMALL, MOST_RATIO * packed):
        raise UserError(
            ENGLISH.say(
                "{path} has {packed} bytes and grows to {size} when it is unpacked; at most "
                "{ratio} times as many are read, and at most {most}: import its table as CSV",
                path=str(path),
                packed=Styled(packed, "count"),
                size=Styled(size, "count"),
                most=Styled(MOST_BYTES, "count"),
                ratio=Styled(MOST_RATIO, "count"),
            )
        )
    if any(member.flag_bits & 1 for member in members):
        raise UserError(f"{path!s} {_FAULTS['password']}")
    if any(member.compress_type not in _METHODS for member in members):
        raise UserError(
            f"{path!s} is packed by a rare method; pack it as zip programs usually do (deflate)"
        )


def _only_table(
    path: Path, members: Sequence[zipfile.ZipInfo], *, is_nested: bool
) -> zipfile.ZipInfo:
    """Return the one table of an archive. Raises UserError, with the names, for several or none."""
    names = [member.filename for member in members if not _HIDDEN.search(member.filename)]
    tables = [name for name in names if {*Path(name.lower()).suffixes} & _TABLES]
    chosen = tables or names
    if is_nested or len(chosen) != 1:
        several = f"several files: {join_first(chosen, _SHOWN)}" if len(chosen) > 1 else ""
        nested = "an archive within an archive" if is_nested else "no file"
        raise UserError(
            f"{path!s} holds {several or nested}; an archive must hold one table: unpack it, and "
            "import each table on its own"
        )
    return next(member for member in members if member.filename == chosen[0])


def _copy_sheet(path: Path, file: Path, sheet: str | None, decimal: str) -> FileContent:
    """Return a sheet of a workbook as text, which a process of its own writes. Raises UserError if
    it cannot be read, SheetWanted if it is not clear which one is meant."""
    copy, inside = _make_copy()
    most = min(MOST_MEMORY, max(LEAST_MEMORY, _MEMORY_RATIO * file.stat().st_size))
    command = [sys.executable, "-P", "-m", _READER, str(inside), str(most), decimal, sheet or ""]
    with file.open("rb") as book:
        done = subprocess.run(
            command, stdin=book, capture_output=True, check=False, pass_fds=[copy.fileno()]
        )
    if done.returncode == 0:
        content = json.loads(done.stdout)
    elif done.returncode < 0 or b"MemoryError" in done.stderr:  # a limit ends it by a signal
        content = {"fault": "memory"}
    else:
        content = {"fault": "damaged", "why": done.stderr.decode("utf-8", "replace")[-200:].strip()}
    sheets = tuple(content.get("sheets", ()))
    if "fault" not in content:
        return FileContent(inside, content["sheet"], sheets, copy)
    values = content | {
        "sheets": join_first([*map(shown, sheets)], _SHOWN),
        "sheet": shown(sheet or ""),
        "most": most >> 20,
    }
    message = f"{path!s} {_FAULTS[content['fault']].format_map(values)}"
    raise SheetWanted(message, sheets) if sheets else UserError(message)
