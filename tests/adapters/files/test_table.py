import bz2
import csv
import gzip
import io
import lzma
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from alerting.adapters.files.tables import text
from alerting.adapters.files.tables.opening import open_table
from alerting.definitions.faults import UserError

pytestmark = pytest.mark.fast


def rows_of(path, **options):
    """(line, cells) of every whole row, and (line, reason) of every other one."""
    table = open_table(path, **options)
    rows = []
    broken = []
    for chunk in table.chunks(table.titles):
        cells = [chunk.columns[t].to_pylist() for t in table.titles]
        rows += [(int(line), list(row)) for line, *row in zip(chunk.lines, *cells, strict=True)]
        broken += [(b.line, b.reason) for b in chunk.broken]
    return rows, broken


def written(folder, content, name="file.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found_from_the_header(tmp_path, separator):
    path = written(tmp_path, f"ts{separator}a b{separator}c\n1{separator}2{separator}3\n")
    assert open_table(path).titles == ("ts", "a b", "c")
    assert rows_of(path) == ([(2, ["1", "2", "3"])], [])


def test_separators_inside_a_quoted_title_do_not_mislead(tmp_path):
    path = written(tmp_path, 'ts;"a, b, c, d";e\n1;2;3\n')
    assert open_table(path).titles == ("ts", "a, b, c, d", "e")


def test_a_byte_order_mark_is_no_part_of_the_first_title(tmp_path):
    assert open_table(written(tmp_path, b"\xef\xbb\xbfUDI,x\n1,2\n")).titles == ("UDI", "x")


@pytest.mark.parametrize(
    ("name", "pack"), [("f.gz", gzip.compress), ("f.bz2", bz2.compress), ("f", lzma.compress)]
)
def test_a_compressed_file_is_known_by_its_content(tmp_path, name, pack):
    assert rows_of(written(tmp_path, pack(b"ts,x\n1,2\n"), name)) == ([(2, ["1", "2"])], [])


def test_a_zstandard_file_is_read(tmp_path):
    path = tmp_path / "f.zst"
    with pa.output_stream(str(path), compression="zstd") as out:
        out.write(b"ts,x\n1,2\n")
    assert rows_of(path) == ([(2, ["1", "2"])], [])


def test_a_damaged_compressed_file_is_refused(tmp_path):
    path = written(tmp_path, gzip.compress(b"ts,x\n" + bytes(range(48, 58)) * 10_000)[:-20], "f.gz")
    with pytest.raises(UserError, match="damaged"):
        rows_of(path)


def test_lines_are_counted_over_blank_lines_and_line_breaks_in_quotes(tmp_path):
    path = written(tmp_path, 'ts,x\r\n1,"two\r\nlines"\r\n\r\n3,4\r\n')
    assert rows_of(path) == ([(2, ["1", "two\r\nlines"]), (5, ["3", "4"])], [])


def test_a_line_with_a_wrong_number_of_fields_is_set_apart_with_its_number(tmp_path):
    rows, broken = rows_of(written(tmp_path, "ts,x\n1,2\n3\n4,5,6\n7,8\n"))
    assert [line for line, _ in rows] == [2, 5]
    assert broken == [
        (3, "1 fields where the header names 2"),
        (4, "3 fields where the header names 2"),
    ]


def test_a_quotation_mark_that_is_never_closed_costs_one_line_only(tmp_path):
    rows, broken = rows_of(written(tmp_path, 'ts,x\n1,"two\n3,4\n5,6\n'))
    assert [line for line, _ in rows] == [3, 4]
    assert broken == [(2, "a quotation mark is opened and not closed on this line")]


def test_bytes_in_another_encoding_are_refused_with_their_line_and_taken_when_it_is_named(tmp_path):
    path = written(tmp_path, "ts,x\n1,2\n3,20 °C\n".encode("cp1252"))
    with pytest.raises(
        UserError,
        match=r"line 3 is not written in utf-8; name its encoding, e.g. --encoding cp1252",
    ):
        rows_of(path)
    assert rows_of(path, encoding="cp1252")[0][-1] == (3, ["3", "20 °C"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n1,2\n", "the first line is empty"),
        (b"ts,x,x\n", "the header names 'x' more than once"),
        (b"PK\x03\x04rest", "zip archive"),
    ],
)
def test_a_file_without_a_usable_header_is_refused(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        open_table(written(tmp_path, content))


def test_a_missing_file_is_refused_with_the_nearest_names(tmp_path):
    written(tmp_path, "ts,x\n", "telemetry.csv")
    with pytest.raises(UserError, match=r"file not found; did you mean telemetry.csv"):
        open_table(tmp_path / "telemtry.csv")


def test_parquet_reads_back_to_the_same_values(tmp_path):
    stamps = pa.array([1_420_092_000_000], pa.timestamp("ms", "Europe/Berlin"))
    columns = {
        "ts": stamps,
        "x": [0.1],
        "on": [True],
        "n": pa.array([None], pa.float64()),
        "k": pa.array(["a"]).dictionary_encode(),
    }
    parquet.write_table(pa.table(columns), tmp_path / "f.parquet")
    assert rows_of(tmp_path / "f.parquet") == (
        [(1, ["2015-01-01 06:00:00.000Z", "0.1", "true", None, "a"])],
        [],
    )


CELLS = st.text(alphabet='ab1;,"\n é', max_size=6)


@settings(max_examples=40, deadline=None)
@given(
    table=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=12),
    block=st.integers(1, 40),
)
def test_whatever_a_csv_writer_wrote_is_read_back_with_its_lines(table, block):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(("one", "two", "three"))
    expected = []
    line = 2
    for row in table:
        writer.writerow(row)
        expected.append((line, list(row)))
        line += 1 + sum(cell.count("\n") for cell in row)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK_BYTES", block)
        assert rows_of(written(Path(folder), out.getvalue()), separator=",") == (expected, [])


def test_an_xz_file_of_several_parts_is_read_and_one_that_needs_much_memory_refused(tmp_path):
    path = tmp_path / "a.csv"
    parts = [lzma.compress(b"ts,a\n1,2\n"), lzma.compress(b"3,4\n"), lzma.compress(b"5,6\n")]
    path.write_bytes(parts[0] + parts[1] + b"\0" * 8 + parts[2] + b"\0" * 4)
    (chunk,) = open_table(path).chunks(["ts"])
    assert chunk.columns["ts"].to_pylist() == ["1", "3", "5"]
    path.write_bytes(parts[0][:-9])
    with pytest.raises(UserError, match="cannot be read to its end"):
        open_table(path)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    packer = lzma.LZMACompressor(filters=filters)
    path.write_bytes(packer.compress(b"ts,a\n" + b"1,2\n" * 99_999) + packer.flush())
    with pytest.raises(UserError, match="Memory usage limit exceeded"):
        open_table(path)
