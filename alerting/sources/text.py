"""Files as blocks of whole lines: compression found by content, any encoding turned into UTF-8, a bounded piece at a time."""

import bz2
import codecs
import gzip
import lzma
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from alerting.definitions.faults import Refused

BLOCK_BYTES = 4 << 20
LONGEST_RECORD = 64 << 20  # a quotation mark that is never closed must not pull the whole file into memory
_BOM = codecs.BOM_UTF8
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_ZSTD, _ZIP, PARQUET = b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PAR1"


@dataclass(frozen=True)
class Block:
    """Whole lines in UTF-8; `first_line` counts from 1."""

    first_line: int
    data: bytes
    lines: int


class Position:
    """How many bytes of the file itself (compressed ones, if it is) have been read."""

    def __init__(self, path: Path) -> None:
        stat = path.stat()
        self.total, self._written_at, self._path = stat.st_size, stat.st_mtime_ns, path
        self.done = 0

    def again(self) -> "Position":
        """The start of the same file. Raises Refused when somebody has written to it since."""
        now = Position(self._path)
        if (now.total, now._written_at) != (self.total, self._written_at):
            raise Refused(f"{self._path} was changed while it was being imported; import it again")
        return now


def magic(path: Path) -> bytes:
    """The first bytes of a file. Raises Refused when there is no such file, or nothing in it."""
    if not path.exists():
        raise Refused(f"{path}: file not found{_neighbours(path)}")
    if not path.is_file():
        raise Refused(f"{path} is not a regular file; the import reads a file twice: first it checks, then it writes")
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except PermissionError as error:
        raise Refused(f"{path}: no permission to read this file") from error
    if not start:
        raise Refused(f"{path}: the file is empty")
    if start.startswith(_ZIP):
        raise Refused(f"{path} is a zip archive (or a spreadsheet); unpack it, or save it as CSV, and import that")
    return start


def blocks(path: Path, encoding: str, position: Position) -> Generator[Block, None, None]:
    """The file in blocks of whole lines, about 4 MiB each; a record with line breaks inside quotation marks is not cut.

    Raises Refused where bytes are not in this encoding, or a compressed file is damaged.
    """
    line, rest = 1, b""
    with _opened(path) as (stream, raw):
        for piece in _pieces(path, stream, encoding):
            position.done = min(raw.tell(), position.total)
            data = rest + piece
            cut = _cut(data)
            rest = data[cut:]
            if cut:
                block = _block(path, line, data[:cut], encoding)
                line += block.lines
                yield block
    if rest:
        yield _block(path, line, rest, encoding)
    position.done = position.total


def _cut(data: bytes) -> int:
    """Where the last whole record ends: after a line break with an even number of quotation marks before it."""
    end = data.rfind(b"\n") + 1
    if data.count(b'"', 0, end) % 2 == 0 or len(data) > LONGEST_RECORD:
        return end
    return 0


def _block(path: Path, first_line: int, data: bytes, encoding: str) -> Block:
    if first_line == 1:
        data = data.removeprefix(_BOM)
    try:
        data.isascii() or data.decode()
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        raise Refused(
            f"{path}: line {line} is not written in {encoding}; name its encoding, e.g. --encoding cp1252 for a Windows export"
        ) from error
    return Block(first_line, data, data.count(b"\n") + (not data.endswith(b"\n")))


def _pieces(path: Path, stream: IO[bytes], encoding: str) -> Iterator[bytes]:
    try:
        decoder = None if codecs.lookup(encoding).name == "utf-8" else codecs.getincrementaldecoder(encoding)()
    except LookupError as error:
        raise Refused(f"{encoding!r} is no known encoding; write for example utf-8, cp1252 or utf-16") from error
    try:
        while piece := stream.read(BLOCK_BYTES):
            yield decoder.decode(piece).encode() if decoder else piece
        if decoder:
            yield decoder.decode(b"", final=True).encode()
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is not written in {encoding}: {error.reason}") from error
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, OSError) as error:
        raise Refused(f"{path}: the file cannot be read to its end, it may be damaged: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The unpacked stream, and the file below it."""
    start = magic(path)
    with path.open("rb") as raw:
        if start.startswith(_ZSTD):
            with pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd") as unpacked:
                yield unpacked, raw
            return
        opener = next((o for m, o in _OPENERS.items() if start.startswith(m)), None)
        if opener is None:
            yield raw, raw
            return
        with cast("Any", opener)(raw, "rb") as unpacked:
            yield unpacked, raw


def _neighbours(path: Path) -> str:
    if not path.parent.is_dir():
        return f"; there is no folder {path.parent} either"
    close = get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=3, cutoff=0.75)
    return f"; did you mean {' or '.join(close)}?" if close else ""
