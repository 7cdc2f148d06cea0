import csv
import gzip
import io
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from alerting.adapters.files import chunks
from alerting.adapters.files.find_form import open_table
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import FileForm

pytestmark = pytest.mark.fast


def rows_of(path, **options):
    """(line, cells) of every whole row, and (line, reason) of every other one."""
    table = open_table(path, FileForm(**{"encoding": "utf-8"} | options))
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


ONE_ROW = ([(2, ["1", "2"])], [])
READ = {
    "ts,a b\n1,2\n": ONE_ROW,
    "ts;a b\n1;2\n": ONE_ROW,
    "ts\ta b\n1\t2\n": ONE_ROW,
    "ts|a b\n1|2\n": ONE_ROW,
    # separators inside a quoted title do not mislead
    'ts;"a, b, c, d"\n1;2\n': ONE_ROW,
    # packed, known by the content
    gzip.compress(b"ts,x\n1,2\n"): ONE_ROW,
    pa.compress(b"ts,x\n1,2\n", "zstd", asbytes=True): ONE_ROW,
    # of several parts with padding between them
    # lines are counted over blank lines and line breaks in quotes
    'ts,x\r\n1,"two\r\nlines"\r\n\r\n3,4\r\n': (
        [(2, ["1", "two\r\nlines"]), (5, ["3", "4"])],
        [],
    ),
    # a line with a wrong number of fields is set apart with its number
    "ts,x\n1,2\n3\n4,5,6\n7,8\n": (
        [(2, ["1", "2"]), (5, ["7", "8"])],
        [
            (3, "1 fields where the header names 2"),
            (
                4,
                "3 fields where the header names 2; if a column was added, name all with --columns",
            ),
        ],
    ),
    # a quotation mark that is never closed costs one line only
    'ts,x\n1,"two\n3,4\n5,6\n': (
        [(3, ["3", "4"]), (4, ["5", "6"])],
        [(2, "a quotation mark is opened and not closed on this line")],
    ),
}


def test_rows_are_read_with_their_lines_and_what_is_broken_is_set_apart(tmp_path):
    assert {content: rows_of(written(tmp_path, content)) for content in READ} == READ
    marked = written(tmp_path, b'\xef\xbb\xbfUDI;"a, b, c, d"\n1;2\n')
    assert open_table(marked).titles == ("UDI", "a, b, c, d")


DAMAGED = gzip.compress(b"ts,x\n" + bytes(range(48, 58)) * 10_000)[:-20]
REFUSED = {
    b"": "the file is empty",
    b"\n1,2\n": "the first line is empty",
    b"ts,x,x\n": "the header names 'x' more than once",
    b"PK\x03\x04rest": "archive or workbook cannot be unpacked",
    DAMAGED: "damaged",
    "ts,x\n1,2\n3,20 °C\n".encode("cp1252"): (
        r"line 3 is not written in utf-8; name its encoding, e.g. --encoding cp1252"
    ),
}


@pytest.mark.parametrize("content", REFUSED)
def test_a_damaged_file_or_one_without_a_usable_header_is_refused(tmp_path, content):
    with pytest.raises(UserError, match=REFUSED[content]):
        rows_of(written(tmp_path, content))


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


def test_a_parquet_file_names_its_columns_itself(tmp_path):
    parquet.write_table(pa.table({"x": [1]}), tmp_path / "f.parquet")
    for options in ({"header_line": 0}, {"columns": ("a",)}):
        with pytest.raises(UserError, match="leave out --header-line and --columns"):
            open_table(tmp_path / "f.parquet", FileForm(**options))


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
        patch.setattr(chunks, "BLOCK_BYTES", block)
        assert rows_of(written(Path(folder), out.getvalue()), separator=",") == (expected, [])


@pytest.mark.parametrize("begin", [b"BZh91AY&SY", b"\xfd7zXZ\x00"])
def test_a_file_that_is_packed_otherwise_is_named(tmp_path, begin):
    path = tmp_path / "a.csv"
    path.write_bytes(begin)
    with pytest.raises(UserError, match="packed with bzip2 or xz"):
        open_table(path)


GROWN = "Time;a\n02.03.2026 06:00;1\n02.03.2026 06:01;2\n02.03.2026 06:02;3;7\n"


@pytest.mark.parametrize("quote", ["", '"'])  # which is read record by record
def test_a_column_that_was_added_while_logging_is_empty_before(tmp_path, quote):
    path = tmp_path / "grown.csv"
    path.write_text(GROWN.replace("02.03.2026 06:00", f"{quote}02.03.2026 06:00{quote}"))
    table = open_table(path, FileForm(columns=("Time", "a", "b")))
    assert [chunk.columns["b"].to_pylist() for chunk in table.chunks(["b"])] == [["", "", "7"]]
    with pytest.raises(UserError, match="--columns gives 4 names, but the table has 2 columns"):
        list(open_table(path, FileForm(columns=("Time", "a", "b", "c"))).chunks(["b"]))


def test_rows_with_more_fields_than_titles_ask_for_the_names_of_all(tmp_path):
    path = tmp_path / "shifted.csv"
    path.write_text("Time;a;b\n" + "".join(f"02.03.2026 06:0{n};1;;2;3\n" for n in range(4)))
    with pytest.raises(UserError, match="the rows have 5 fields, but line 1 names 3: name all"):
        open_table(path)
