"""Rows of a table in chunks, and files as blocks of whole lines: unpacked, any encoding turned into
UTF-8, in bounded pieces."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from alerting.deferred import pa
from alerting.definitions.faults import UserError, shown
from alerting.definitions.wording.language import ENGLISH, Styled, join_first, join_with_or
from alerting.readings.foreign_columns import BadLine

Cells = Any  # pyarrow.StringArray; pyarrow ships no types


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table: text cells by title, all of one length, and the line of each row."""

    lines: npt.NDArray[np.int64]
    columns: Mapping[str, Cells]
    broken: tuple[BadLine, ...]
    original: Callable[[int], str]

    def take(self, rows: npt.NDArray[np.int64]) -> Chunk:
        """Return some of the rows."""
        columns = {title: cells.take(pa.array(rows)) for title, cells in self.columns.items()}
        original = self.original
        return Chunk(self.lines[rows], columns, self.broken, lambda r: original(int(rows[r])))


class StatedTimes(NamedTuple):
    """Statements above a table on its times: a `zone`, as written; the `date` of stamps
    that hold a clock time only, ISO 8601; the instant `start` from which stamps count, as ISO 8601
    with or without a zone."""

    zone: str | None = None
    date: str | None = None
    start: str | None = None


class FileContent(NamedTuple):
    """Where the table of a file lies: in the file itself or in a `copy`, which lasts as long as
    this. `sheet`: the one of a workbook whose text it is; `sheets`: those that are shown."""

    file: Path
    sheet: str | None = None
    sheets: tuple[str, ...] = ()
    copy: Any = None


class ChunkedTable(ABC):
    """A file of rows and titled columns. `notes`: sentences on lines above the rows;
    `as_written`: titles without the units of a line below them, by title; `stated`: what its head
    says of the times; `title_lines`, `unit_line`, `first_line`: as in its form; `tables`: the
    titles of each of several tables side by side. `position`: how far the file is read."""

    path: Path
    content: FileContent
    position: Position
    titles: tuple[str, ...]
    unit = "line"
    encoding: TextEncoding | None = None
    separator: str | None = None
    notes: tuple[str, ...] = ()
    as_written: Mapping[str, str] = MappingProxyType({})
    stated = StatedTimes()
    title_lines: tuple[int, ...] = ()
    unit_line: int | None = None
    first_line: int | None = None
    tables: tuple[tuple[str, ...], ...] = ()

    @abstractmethod
    def chunks(self, titles: Sequence[str]) -> Iterator[Chunk]:
        """Yield rows in file order, only with the wanted columns."""

    @abstractmethod
    def first_rows(self, rows: int) -> Chunk | None:
        """Return at least `rows` first rows, or all, with all columns; None without one."""


MOST_COLUMNS = 10_000
_LISTED = 20


class RepeatedTitle(UserError):
    """Refusal of a header that names a column twice; the message quotes it."""


def column(table: ChunkedTable, title: str, option: str) -> str:
    """Return the title of the wanted column. Raises UserError with the nearest titles."""
    if title in table.titles:
        return title
    raise no_column(table, title, option, similar_titles(title, table.titles))


def no_column(table: ChunkedTable, title: str, option: str, near: Sequence[str]) -> UserError:
    """Return the refusal of a title that the table does not have. `near`: what may be meant."""
    names = title_list(table.titles)
    values = {"path": str(table.path), "column": shown(title), "option": option, "names": names}
    if near:
        return UserError(
            ENGLISH.say(
                "{path}: there is no column {column}; did you mean {near}? name it with {option}. "
                "Columns: {names}",
                near=join_with_or(*near),
                **values,
            )
        )
    return UserError(
        ENGLISH.say(
            "{path}: there is no column {column}; name it with {option}. Columns: {names}", **values
        )
    )


def similar_titles(title: str, titles: Sequence[str]) -> list[str]:
    """Return the titles most similar to this one: its letters, a part of it, or a typing error."""
    plain, *letters = [re.sub(r"[^\w]|_", "", text.casefold()) for text in (title, *titles)]
    folded = dict(zip(titles, letters, strict=True))
    same = [title for title, folded in folded.items() if plain and folded == plain]
    close = get_close_matches(plain, filter(None, letters), n=3, cutoff=0.75)
    within = [f for f in letters if min(len(f), len(plain)) > 2 and (plain in f or f in plain)]
    return (same or [t for t, folded in folded.items() if folded in (*close, *within)])[:3]


def title_list(titles: Sequence[str]) -> str:
    """Return the first titles as text, and the number of the others."""
    return join_first([t if len(t) <= 60 else t[:59] + "…" for t in titles], _LISTED)


def read_titles(path: Path, raw: Sequence[str]) -> tuple[str, ...]:
    """Return the titles of a header. Raises UserError for none, too many, or a repeated one."""
    if not raw:
        raise UserError(f"{path!s}: the table has no columns")
    if len(raw) > MOST_COLUMNS:
        raise UserError(
            ENGLISH.say(
                "{path}: line 1 names {count} columns, but at most {most} are read; export fewer "
                "variables into one file, e.g. those of one asset",
                path=str(path),
                count=Styled(len(raw), "count"),
                most=Styled(MOST_COLUMNS, "count"),
            )
        )
    titles = tuple(t.strip() or f"column_{i}" for i, t in enumerate(raw, 1))
    twice = sorted(t for t, count in Counter(titles).items() if count > 1)
    if twice:
        named = title_list([shown(t) for t in twice])
        raise RepeatedTitle(
            f"{path!s}: the header names {named} more than once; give each column its own title"
        )
    return titles


BLOCK_BYTES = 4 << 20
LONGEST_LINE = 4 << 20
# bytes; an unclosed quotation mark must not load the whole file into memory
LONGEST_RECORD = 8 << 20
WINDOWS = "cp1252"
_NO_FILE_ENCODINGS = (
    "idna",
    "punycode",
    "unicode_escape",
    "raw_unicode_escape",
    "undefined",
    "unicode-escape",
    "raw-unicode-escape",
)
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_OTHERWISE = "is packed with bzip2 or xz; pack it with gzip or zstd, or unpack it"
_MARKUP = (
    "is a web page or XML, whatever its name says; open it in a spreadsheet program, save it as "
    ".xlsx, and import that"
)
_REFUSED = {
    b"BZh": _OTHERWISE,
    b"\xfd7zXZ\x00": _OTHERWISE,
    **dict.fromkeys((b"<html", b"<HTML", b"<!DOCTYP", b"<!doctyp", b"<table", b"<TABLE"), _MARKUP),
    **dict.fromkeys((b"<?xml", b"\xef\xbb\xbf<?xml"), _MARKUP),
}
PARQUET = b"PAR1"


@dataclass(frozen=True)
class Block:
    """Whole lines in UTF-8; `first_line` counts from 1."""

    first_line: int
    data: bytes
    lines: int


class Position:
    """Number of bytes read of the file itself (compressed ones, if it is compressed)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stat = path.stat()
        self.total = self._stat.st_size
        self.done = 0

    def reopen(self) -> None:
        """Begin again at the start. Raises UserError if the file has changed since."""
        now = self._path.stat()
        if (now.st_size, now.st_mtime_ns) != (self.total, self._stat.st_mtime_ns):
            raise UserError(f"{self._path!s} changed during its import; import it again")
        self.done = 0


def magic(path: Path, content: Path | None = None) -> bytes:
    """Return the first bytes of a file, or of the copy of its content. Raises UserError if it does
    not exist, or is empty."""
    if not path.exists():
        hint = f"; there is no folder {path.parent} either"
        if path.parent.is_dir():
            names = [p.name for p in path.parent.iterdir()]
            close = get_close_matches(path.name, names, n=3, cutoff=0.75)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise UserError(f"{path}: file not found{hint}")
    if not path.is_file():
        raise UserError(
            f"{path!s} is not a regular file; the import reads a file twice, first to check "
            "it, then to write it"
        )
    try:
        with (content or path).open("rb") as file:
            start = file.read(8)
    except PermissionError as error:
        raise UserError(f"{path!s}: no permission to read this file") from error
    if not start:
        raise UserError(f"{path!s}: the file is empty")
    for signature, why in _REFUSED.items():
        if start.startswith(signature):
            raise UserError(f"{path!s} {why}")
    return start


class TextEncoding:
    """Encoding of a file: the given name, or detected from its first bytes. `content`: where these
    are, the file itself or a copy of what is packed in it.

    Without a name it is UTF-8, or UTF-16 or 32 with a byte order mark; other text is read as
    Windows-1252. Raises UserError if the name is not that of a text encoding.
    """

    def __init__(self, path: Path, named: str | None, content: Path) -> None:
        self.content = content
        self.guessed = named is None
        self.name = _encoding_by_mark(path, self.content) if named is None else named
        try:
            info = codecs.lookup(self.name)
        except (LookupError, ValueError) as error:
            raise UserError(
                f"{shown(self.name)} is not a known encoding; write for example utf-8, cp1252 or "
                "utf-16"
            ) from error
        if not getattr(info, "_is_text_encoding", True) or info.name in _NO_FILE_ENCODINGS:
            raise UserError(
                f"{shown(self.name)} is not an encoding of text files; write for example utf-8, "
                "cp1252 or utf-16"
            )


def _encoding_by_mark(path: Path, content: Path) -> str:
    with _open_unpacked(path, content) as (stream, _):
        start = stream.read(4096)
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even = start[::2].count(0)
    odd = start[1::2].count(0)
    if even + odd > len(start) // 4 and min(even, odd) == 0:
        return "utf-16-be" if even else "utf-16-le"
    return "utf-8"


def count_lines(data: bytes) -> int:
    """Return the number of lines, the last of which may have no end."""
    return data.count(b"\n") + (not data.endswith(b"\n"))


def blocks(path: Path, encoding: TextEncoding, position: Position) -> Generator[Block, None, None]:
    """Yield the file in blocks of whole lines, about 4 MiB each; a record with line breaks inside
    quotation marks is not cut.

    Raises UserError if bytes are not in this encoding, a line is too long for a table, or a
    compressed file is damaged.
    """
    line = 1
    data = b""
    names = ["utf-8", WINDOWS] if encoding.guessed and encoding.name == "utf-8" else ["utf-8"]
    with _open_unpacked(path, encoding.content) as (stream, raw):
        for piece in _pieces(path, stream, encoding.name):
            data += piece
            cut = len(data)
            position.done = position.total
            if piece:
                position.done = min(raw.tell(), position.total)
                cut = data.rfind(b"\n") + 1
                if data.count(b'"', 0, cut) % 2 and len(data) <= LONGEST_RECORD:
                    cut = 0  # in quotation marks
                last = max(cut, data.rfind(b"\n", cut) + 1)
                if len(data) - last > LONGEST_LINE:
                    number = line + data.count(b"\n", 0, last)
                    raise UserError(
                        f"{path!s}: line {number} is longer than {LONGEST_LINE >> 20} MiB, too "
                        "long for a table; nothing was written. Import a text file with one line "
                        "for each instant"
                    )
            whole = data[:cut]
            data = data[cut:]
            if line == 1:
                whole = whole.removeprefix(codecs.BOM_UTF8)
            if not whole.isascii():
                names, whole = _utf8(path, line, whole, names)
                if names == [WINDOWS]:
                    encoding.name = WINDOWS
            if cut:
                block = Block(line, whole, count_lines(whole))
                yield block
                line += block.lines


def first_block(path: Path, encoding: TextEncoding) -> Block | None:
    """Return the first lines of a file, None of one that is empty when it is unpacked."""
    with closing(blocks(path, encoding, Position(encoding.content))) as start:
        return next(start, None)


def _utf8(path: Path, line: int, data: bytes, names: Sequence[str]) -> tuple[list[str], bytes]:
    """Return the first of the encodings `names` in which bytes are written, and these in UTF-8.
    Bytes are damaged UTF-8, and no Windows-1252, if they hold characters that only UTF-8 encodes so
    beside some that it does not. Raises UserError if they are in none; `line`: the first one."""
    for tried, name in enumerate(names, 1):
        try:
            text = data.decode(name)
            return [name], data if name == "utf-8" else text.encode()
        except UnicodeDecodeError as error:
            number = line + data.count(b"\n", 0, error.start)
            refusal = UserError(
                f"{path!s}: line {number} is not written in {', nor in '.join(names[:tried])}; "
                "name its encoding, e.g. --encoding cp1252 for a Windows export"
            )
            text = data.decode("utf-8", "replace")
            foreign = len(text) - len(text.encode("ascii", "ignore"))
            if foreign > text.count("\ufffd") or _SURROGATE.search(data):
                break
    raise refusal


def _pieces(path: Path, stream: IO[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the unpacked file as UTF-8, at last nothing; lone carriage returns become line feeds if
    it has none."""
    info = codecs.lookup(encoding)
    decoder = None if info.name == "utf-8" else cast("Any", info.incrementaldecoder)()
    returns: bool | None = None
    try:
        while piece := stream.read(BLOCK_BYTES):
            piece = decoder.decode(piece).encode() if decoder else piece
            if returns is None:
                returns = b"\n" not in piece and b"\r" in piece
            if piece:
                yield piece.replace(b"\r", b"\n") if returns else piece
        yield from filter(None, [decoder.decode(b"", final=True).encode() if decoder else b""])
    except UnicodeError as error:
        raise UserError(
            f"{path!s} is not written in {encoding}: {getattr(error, 'reason', error)!s}"
        ) from error
    yield b""


@contextmanager
def _open_unpacked(path: Path, content: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Yield the content of a file unpacked, and as it is. Raises UserError if it is damaged."""
    start = magic(path, content)
    with content.open("rb") as raw:
        stream: Any = raw
        if start.startswith(_ZSTD):
            stream = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
        elif start.startswith(_GZIP):
            stream = gzip.GzipFile(fileobj=raw)
        try:
            with stream:
                yield stream, raw
        except (EOFError, zlib.error, OSError) as error:
            raise UserError(
                f"{path!s}: the file cannot be read to its end, it may be damaged: {error!s}"
            ) from error
