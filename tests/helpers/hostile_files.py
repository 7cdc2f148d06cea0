"""Files that people, machines and attackers leave in folders: damaged, endless, ambiguous, or with
names that no program likes.

All are made anew, the same ones each time. `CONTENTS` holds those that are bytes; `make_files`
writes these, and what is a file by its kind or name only, into a folder.
"""

import gzip
import io
import os
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

GOOD = b"ts,t\n2026-01-05T06:00:00Z,1.5\n2026-01-05T06:01:00Z,2.5\n"
_MEGABYTE = 1 << 20
_ARABIC = {ord("0") + digit: 0x660 + digit for digit in range(10)}


def table(*rows: str, head: str = "ts,t") -> bytes:
    """Return the lines of a table."""
    return "\n".join([head, *rows, ""]).encode()


def _stamps() -> Iterator[tuple[str, bytes]]:
    """Yield tables with stamps that are none, lie outside of time, or are written in several
    ways."""
    stamps = {
        "year 0000": "0000-01-01T00:00:00Z",
        "year 0001": "0001-01-01T00:00:00Z",
        "year 0001 without a zone": "0001-01-01 00:00:00",
        "year 1899": "1899-12-31T23:59:59Z",
        "year 2200": "2200-01-01T00:00:00Z",
        "year 9999": "9999-12-31T23:59:59.999Z",
        "year 9999 without a zone": "9999-12-31 23:59:59",
        "year 9999 behind UTC": "9999-12-31T23:59:59-14:00",
        "year 0001 ahead of UTC": "0001-01-01T00:00:00+14:00",
        "year 10000": "10000-01-01T00:00:00Z",
        "negative year": "-001-01-01T00:00:00Z",
        "day 30 of February": "2026-02-30T00:00:00Z",
        "hour 24": "2026-02-01T24:00:00Z",
        "second 60": "2026-02-01T23:59:60Z",
        "offset of 99 hours": "2026-02-01T00:00:00+99:00",
        "epoch of nanoseconds": "1767614400000000000",
        "epoch beyond all": "9" * 30,
        "epoch of 13 digits": "9" * 13,
        "negative epoch": "-1767614400",
        "epoch as a float": "1767614400.5",
        "epoch with an exponent": "1.7676144e9",
        "null date of a spreadsheet": "00.01.1900 00:00",
        "serial day of a spreadsheet": "46027.25",
        "two digits of a year": "05.01.26 06:00",
        "digits that are not ASCII": "2026-01-05T06:00:00Z".translate(_ARABIC),
        "a clock only": "06:00:00",
        "an hour that does not exist": "2026-03-29 02:30:00",
        "an hour that comes twice": "2026-10-25 02:30:00",
    }
    for name, stamp in stamps.items():
        yield f"stamps, {name}", table(f"{stamp},1.5", f"{stamp},2.5")
        if name.startswith("year"):
            yield f"stamps, {name} far down", GOOD + f"{stamp},3.5\n".encode()
    yield (
        "stamps, mixed",
        table("2026-01-05T06:00:00Z,1", "05.01.2026 06:01,2", "01/05/2026 06:02,3", "1767614580,4"),
    )
    yield "stamps, of both orders", table("13/01/2026 06:00,1", "01/13/2026 06:00,2")
    yield (
        "stamps, with the null date in a European file",
        table("01.01.0001 00:00:00;1,5", "05.01.2026 06:00:00;2,5", head="ts;t"),
    )
    yield (
        "stamps, with the last date in a European file",
        table("31.12.9999 23:59:59;1,5", "05.01.2026 06:00:00;2,5", head="ts;t"),
    )
    yield "stamps, all empty", table(",1", ",2")


def _bytes() -> Iterator[tuple[str, bytes]]:
    """Yield content that is no text, or text in an unexpected encoding or archive."""
    yield "bytes, none", b""
    yield "bytes, one NUL", b"\x00"
    yield "bytes, NUL in a cell", table("2026-01-05T06:00:00Z,1\x005")
    yield "bytes, NUL in a title", table("2026-01-05T06:00:00Z,1", head="ts,t\x00t")
    yield "bytes, only NULs", b"\x00" * 5000
    yield "bytes, all of them", bytes(range(256)) * 40
    for encoding in (
        "utf-16-le",
        "utf-16-be",
        "utf-32-le",
        "utf-16",
        "utf-32",
        "utf-8-sig",
        "utf-7",
        "cp037",
    ):
        yield f"bytes, {encoding}", GOOD.decode().encode(encoding)
    yield "bytes, UTF-16 of an odd length", GOOD.decode().encode("utf-16")[:-1]
    yield "bytes, half a UTF-8 character at the end", GOOD + b"2026-01-05T06:02:00Z,\xc3"
    yield (
        "bytes, UTF-8 and Windows mixed",
        table("2026-01-05T06:00:00Z,süß") + b"2026-01-05T06:01:00Z,s\xfc\xdf\n",
    )
    yield "bytes, a surrogate", GOOD + b"2026-01-05T06:02:00Z,\xed\xa0\x80\n"
    yield "bytes, a mark of order twice", b"\xef\xbb\xbf\xef\xbb\xbf" + GOOD
    yield "bytes, gzip", gzip.compress(GOOD, mtime=0)
    yield "bytes, gzip cut off", gzip.compress(GOOD * 100, mtime=0)[:-9]
    yield "bytes, gzip head only", b"\x1f\x8b"
    yield "bytes, gzip with a wrong sum", gzip.compress(GOOD, mtime=0)[:-8] + b"\x00" * 8
    yield "bytes, gzip in gzip", gzip.compress(gzip.compress(GOOD, mtime=0), mtime=0)
    yield (
        "bytes, gzip of 32 MB in one line",
        gzip.compress(b"ts,t" + b"x" * (32 * _MEGABYTE), mtime=0),
    )
    yield "bytes, gzip of Parquet", gzip.compress(_parquet(_times(), pa.array([1.0, 2.0])), mtime=0)
    yield "bytes, bzip2", b"BZh91AY&SY"
    yield "bytes, xz", b"\xfd7zXZ\x00\x00"
    yield "bytes, Zstandard of nothing", b"\x28\xb5\x2f\xfd" + b"\x00" * 20
    yield "bytes, zip", _zipped()
    yield "bytes, a picture", b"\x89PNG\r\n\x1a\n" + bytes(range(200))
    yield (
        "bytes, HTML",
        b"<!DOCTYPE html><html><body><table><tr><td>ts</td></tr></table></body></html>",
    )


def _tables() -> Iterator[tuple[str, bytes]]:
    """Yield tables with headers, lines and quotation marks that fit no table."""
    yield "table, header only", b"ts,t"
    yield "table, header and a blank line", b"ts,t\n\n"
    yield "table, blank lines only", b"\n\n\n"
    yield "table, one column", table("2026-01-05T06:00:00Z", head="ts")
    yield "table, no stamps", table("1,2", head="a,b")
    yield "table, no header", b"2026-01-05T06:00:00Z,1\n2026-01-05T06:01:00Z,2\n"
    yield "table, a title twice", table("2026-01-05T06:00:00Z,1,2", head="ts,t,t")
    yield "table, titles of one name", table("2026-01-05T06:00:00Z,1,2", head="ts,t 1,t-1 ,t+1")
    yield "table, empty titles", table("2026-01-05T06:00:00Z,1,2", head="ts,,")
    yield (
        "table, 100,000 columns",
        table("1", head="ts," + ",".join(f"c{i}" for i in range(100_000))),
    )
    yield (
        "table, 3,000 columns",
        table(
            "2026-01-05T06:00:00Z" + ",1" * 3000,
            head="ts," + ",".join(f"c{i}" for i in range(3000)),
        ),
    )
    yield "table, a line of 2 MB", table("2026-01-05T06:00:00Z," + "x" * 2 * _MEGABYTE)
    yield "table, a line of 5 MB", table("2026-01-05T06:00:00Z," + "x" * 5 * _MEGABYTE)
    yield (
        "table, a title of 2 MB",
        table("2026-01-05T06:00:00Z,1", head="ts," + "x" * 2 * _MEGABYTE),
    )
    yield (
        "table, an open quotation mark",
        table('2026-01-05T06:00:00Z,"1', "2026-01-05T06:01:00Z,2"),
    )
    yield (
        "table, an open quotation mark in the header",
        table("2026-01-05T06:00:00Z,1", head='ts,"t'),
    )
    yield (
        "table, quotation marks inside of cells",
        table('2026-01-05T06:00:00Z,1"5"', '2026-01-05T06:01:00Z,""2"'),
    )
    yield (
        "table, mixed separators",
        table("2026-01-05T06:00:00Z;1", "2026-01-05T06:01:00Z\t2", "2026-01-05T06:02:00Z,3"),
    )
    yield "table, too many fields", table("2026-01-05T06:00:00Z,1,2,3", "2026-01-05T06:01:00Z,2")
    yield "table, too few fields", table("2026-01-05T06:00:00Z", "2026-01-05T06:01:00Z,2")
    yield "table, a separator of its own", b"sep=\x01\nts\x01t\n2026-01-05T06:00:00Z\x011\n"
    yield "table, a line break as separator", b"sep=\n\nts,t\n2026-01-05T06:00:00Z,1\n"
    yield "table, carriage returns only", GOOD.replace(b"\n", b"\r")
    yield "table, a contradiction", table("2026-01-05T06:00:00Z,1", "2026-01-05T06:00:00Z,2")
    yield (
        "table, titles with control characters",
        table("2026-01-05T06:00:00Z,1", head="ts,\x1b[31mt\x07\u202e"),
    )
    yield "table, a formula as title", table("2026-01-05T06:00:00Z,1", head="ts,=cmd|' /C calc'!A0")
    yield (
        "table, JSON lines",
        b'{"ts": "2026-01-05T06:00:00Z", "t": 1}\n{"ts": "2026-01-05T06:01:00Z", "t": 2}\n',
    )
    yield (
        "table, a title of the database",
        table("2026-01-05T06:00:00Z,1,2,3", head="ts,$where,a.b,_id"),
    )


def _cells() -> Iterator[tuple[str, bytes]]:
    """Yield tables with numbers that are none, or mean different things."""
    numbers = ["1e400", "-1e400", "1e-400", "0x10", "NaN", "Inf", "-Infinity", "1_000"]
    numbers += ["3".translate(_ARABIC), "1e", "--5", "+-5", "1,5", "9" * 400]
    numbers += [
        "=1+1",
        '=HYPERLINK("http://x")',
        "1.234.567",
        "\u00a01\u00a0234",
        "\u2212" + "5",
        "½",
        "5%",
        "1/2",
        "true",
        "\ud7ff",
    ]
    for number in numbers:
        quoted = number.replace('"', '""')
        yield (
            f"cell, {number[:20]}",
            table(f'2026-01-05T06:00:00Z,"{quoted}"', f'2026-01-05T06:01:00Z,"{quoted}"'),
        )
    yield "cells, numbers with an endless one", GOOD + b"2026-01-05T06:02:00Z,1e400\n"
    yield "cells, numbers with a vanishing one", GOOD + b"2026-01-05T06:02:00Z,1e-400\n"
    yield (
        "cells, German and English decimals",
        table("05.01.2026 06:00;1,5", "05.01.2026 06:01;1.5", head="ts;t"),
    )
    yield (
        "cells, thousands in both ways",
        table("05.01.2026 06:00;1.234,5", "05.01.2026 06:01;1,234.5", head="ts;t"),
    )
    yield "cells, a text of 100 kB", table("2026-01-05T06:00:00Z," + "ab " * 33_000)
    yield "cells, only blanks", table("2026-01-05T06:00:00Z,\u00a0", "2026-01-05T06:01:00Z,   ")
    yield (
        "cells, 3,000 kinds of text",
        table(*(f"2026-01-05T06:{i // 60:02}:{i % 60:02}Z,kind {i}" for i in range(3000))),
    )


def _parquets() -> Iterator[tuple[str, bytes]]:
    """Yield Parquet files that are damaged, or hold what is no reading."""
    numbers = pa.array([1.0, 2.0])
    good = _parquet(_times(), numbers)
    yield "parquet, magic only", b"PAR1"
    yield "parquet, magic twice", b"PAR1PAR1"
    yield "parquet, without its footer", good[:-8]
    yield "parquet, cut in half", good[: len(good) // 2]
    yield "parquet, a footer longer than the file", good[:-8] + struct.pack("<I", 1 << 30) + b"PAR1"
    yield "parquet, a footer of noise", good[:60] + b"\xff" * (len(good) - 68) + good[-8:]
    yield "parquet, pages of noise", good[:4] + b"\xee" * 60 + good[64:]
    yield "parquet, nested columns", _parquet(_times(), pa.array([{"a": [1]}, {"a": []}]))
    yield "parquet, lists", _parquet(_times(), pa.array([[1.0], [2.0]]))
    yield "parquet, bytes that are no text", _parquet(_times(), pa.array([b"\xff", b"\xfe"]))
    yield "parquet, no rows", _parquet(_times()[:0], numbers[:0])
    yield "parquet, no columns", _written(pa.table({}))
    yield "parquet, no value", _parquet(_times(), pa.nulls(2))
    yield "parquet, not finite", _parquet(_times(), pa.array([float("inf"), float("nan")]))
    yield (
        "parquet, decimals of 76 digits",
        _parquet(_times(), pa.array([10**75, 1], pa.decimal256(76, 0))),
    )
    yield "parquet, durations", _parquet(_times(), pa.array([1, 2], pa.duration("s")))
    yield (
        "parquet, a column twice",
        _written(pa.table([_times(), numbers, numbers], names=["ts", "t", "t"])),
    )
    for unit, far in (("ms", 1 << 62), ("us", 1 << 62), ("ns", (1 << 63) - 1)):
        yield (
            f"parquet, stamps beyond all in {unit}",
            _parquet(pa.array([far, -far], pa.timestamp(unit, "UTC")), numbers),
        )
    yield (
        "parquet, stamps of the year 0001",
        _parquet(pa.array([-62_135_596_800_000] * 2, pa.timestamp("ms", "UTC")), numbers),
    )
    yield "parquet, int96 out of range", _far_int96()
    yield "parquet, a huge number of rows", _huge_count(good)


def _times() -> pa.Array:
    return pa.array([1_767_592_800_000, 1_767_592_860_000], pa.timestamp("ms", "UTC"))


def _parquet(stamps: pa.Array, values: pa.Array) -> bytes:
    return _written(pa.table({"ts": stamps, "t": values}))


def _written(rows: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    parquet.write_table(rows, file, compression="none", use_dictionary=False, **options)
    return file.getvalue()


def _far_int96() -> bytes:
    """Return a file whose int96 stamps lie 5.8 million years ahead: the day of the Julian calendar
    is the last four bytes."""
    near = struct.pack("<qI", 0, 2_461_046)
    day = _written(
        pa.table({"ts": pa.array([1_767_571_200_000], pa.timestamp("ms")), "t": [1.0]}),
        use_deprecated_int96_timestamps=True,
    )
    assert near in day
    return day.replace(near, struct.pack("<qI", 0, 0x7FFFFFFF))


def _huge_count(good: bytes) -> bytes:
    """Return the file with the rows counted in its footer multiplied: 2 is the field 3, a zigzag
    number, of the metadata."""
    start = len(good) - 8 - struct.unpack("<I", good[-8:-4])[0]
    footer = good[start:-8]
    huge = footer.replace(b"\x16\x04\x19", b"\x16\xfe\xff\xff\xff\xff\xff\xff\xff\x7f\x19", 1)
    assert huge != footer
    return good[:start] + huge + struct.pack("<I", len(huge)) + b"PAR1"


def _zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("line.csv"), GOOD)
    return file.getvalue()


def contents() -> Mapping[str, bytes]:
    """Return the content of each file that is hostile by its content, by what is wrong with it."""
    return dict([*_stamps(), *_bytes(), *_tables(), *_cells(), *_parquets()])


UNREADABLE = {
    "a header of 20 MB": (b"ts," + b"x" * (20 << 20) + b"\n2026-01-05,1\n", "line 1"),
    "100,000 columns": (
        b"ts," + b",".join(b"c%d" % i for i in range(100_000)) + b"\n1\n",
        "columns",
    ),
    "a surrogate": (b"ts,x\n2026-01-05,\xed\xa0\x80\n", "line 2"),
    "a quotation mark that never closes": (
        b'ts,x\n2026-01-05,"1\n' + b"2026-01-06,1\n" * 200_000,
        "line 2",
    ),
}
"""Content that cannot be read, each with what its refusal names."""

NAMES = {
    "not UTF-8": b"m\xfcller.csv",
    "half a character": b"\xff\xfe.csv",
    "255 characters": b"x" * 251 + b".csv",
    "255 bytes of umlauts": "ü".encode() * 125 + b"a.csv",
    "a line break": b"line\nbreak.csv",
    "a dash first": b"--help.csv",
    "control characters": b"\x1b[31mred\x07.csv",
    "text from right to left": "\u202egnp.csv".encode(),
    "a wildcard": b"[a-z]*?.csv",
    "blanks only": b"   .csv",
    "quotation marks": b"\"'`$(true).csv",
    "of a field of the database": b"$where.a.csv",
}
"""Names of files whose content is good, by what is wrong with them."""


def make_files(folder: Path) -> dict[str, Path]:
    """Write all hostile files into a folder. Return the path of each by what is wrong with it."""
    made = {}
    for number, (name, content) in enumerate(contents().items()):
        made[name] = folder / f"{number:03}.csv"
        made[name].write_bytes(content)
    for name, raw in NAMES.items():
        made[f"name, {name}"] = folder / os.fsdecode(raw)
        made[f"name, {name}"].write_bytes(GOOD)
    return made | make_oddities(folder)


def make_oddities(folder: Path) -> dict[str, Path]:
    """Make what has the name of a file but is another thing, or may not be read."""
    (folder / "directory.csv").mkdir()
    (folder / "link.csv").symlink_to("/dev/zero")
    (folder / "circle.csv").symlink_to("circle.csv")
    (folder / "nowhere.csv").symlink_to(folder / "nothing")
    os.mkfifo(folder / "pipe.csv")
    (folder / "secret.csv").write_bytes(GOOD)
    (folder / "secret.csv").chmod(0)
    with (folder / "sparse.csv").open("wb") as sparse:
        sparse.truncate(_MEGABYTE * 16)
    names = ("directory", "link", "circle", "nowhere", "pipe", "secret", "sparse")
    return {f"kind, {name}": folder / f"{name}.csv" for name in names}


_STAMPS = [
    '"0000-01-01"',
    '"0001-01-01T00:00:00Z"',
    '"9999-12-31T23:59:59-14:00"',
    "1e400",
    "-1e30",
    "9e18",
    "true",
    "null",
    "[]",
]
_NAMES = [
    "true",
    "null",
    "NaN",
    "1e-400",
    '""',
    '"a\\n"',
    '"\\ud800"',
    '{"a": 1}',
    '"' + "x" * 5000 + '"',
    '"$where"',
    "1.5",
]
_NUMBERS = [
    "1e400",
    "-1e400",
    "1e-400",
    "NaN",
    "Infinity",
    "0x10",
    "01",
    "1_0",
    "9" * 5000,
    '"\\u0000"',
    '"\\ud83d"',
    "[[1]]",
]


def deliveries() -> Mapping[str, str]:
    """Return rows as programs send them by HTTP, by what is wrong with them; each is a text that
    should be JSON."""
    row = '{{"ts": {ts}, "asset": {asset}, "type": {type}, "t": {t}}}'
    usual = {"ts": '"2026-01-05T12:01:00Z"', "asset": '"oven-1"', "type": '"stop"', "t": "1"}
    found = {
        f"{name}, {text[:12]}": row.format(**{**usual, name: text})
        for name in ("asset", "type")
        for text in _NAMES
    }
    found |= {f"ts, {text[:12]}": row.format(**{**usual, "ts": text}) for text in _STAMPS}
    found |= {f"t, {text[:12]}": row.format(**{**usual, "t": text}) for text in _NUMBERS}
    found |= {
        "a name twice": (
            '{"ts": 1767614400, "ts": 1767614401, "asset": "oven-1", "type": "stop", "t": 1}'
        ),
        "a name twice inside": (
            '{"ts": 1767614400, "asset": "oven-1", "type": "stop", "values": {"t": 1, "t": 2}}'
        ),
        "deep": '{"ts": 1767614400, "asset": "oven-1", "type": "stop", "t": '
        + "[" * 100_000
        + "]" * 100_000
        + "}",
        "many values": '{"ts": 1, "asset": "a", "type": "b"'
        + "".join(f', "v{i}": 1' for i in range(10_001))
        + "}",
        "cut off": '{"ts": 1767614400, "asset": "oven-1"',
        "a list": "[1, 2]",
        "a number": "1",
        "a text": '"2026"',
        "a mark of order": '\ufeff{"ts": 1}',
        "half a character": '{"ts": 1, "asset": "\udcff"}',
        "names of fields of the database": (
            '{"ts": 1767614400, "asset": "oven-1", "type": "stop", "$set": 1, "a.b": 2, "_id": 3}'
        ),
        "an empty name": '{"ts": 1767614400, "asset": "oven-1", "type": "stop", "": 1}',
        "nothing": "{}",
    }
    return found
