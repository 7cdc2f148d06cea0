"""Parquet files that are small on disk and large in memory: bounded by bytes, and refused before
texts are repeated for each row."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alerting.adapters.files import parquet_table
from alerting.adapters.files.find_form import open_table
from alerting.definitions.faults import UserError

ROWS = 100_000
LONG = "x" * 20_000


def repeated(text, rows=ROWS, kind=None):
    """Return a column of one text that stands once."""
    return pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(rows, np.int32)), pa.array([text], kind)
    )


def changing(rows=ROWS):
    """Return a column of texts that begin alike."""
    texts = pa.array([LONG + str(n) for n in range(50)])
    return pa.DictionaryArray.from_arrays(pa.array(np.arange(rows, dtype=np.int32) % 50), texts)


PLAIN = {"use_dictionary": False, "compression": "zstd"}
BOMBS = {
    "one text": (repeated(LONG), {}),
    "bytes": (repeated(LONG.encode()), {}),
    "large text": (repeated(LONG, kind=pa.large_string()), {}),
    "packed": (repeated(LONG), PLAIN),
    "shared beginnings": (changing(), PLAIN | {"column_encoding": {"v": "DELTA_BYTE_ARRAY"}}),
    "lengths apart": (changing(), PLAIN | {"column_encoding": {"v": "DELTA_LENGTH_BYTE_ARRAY"}}),
    "pages of the second form": (repeated(LONG), PLAIN | {"data_page_version": "2.0"}),
    "statistics": (repeated(LONG), {"write_page_index": True}),
    "a group for each row": (repeated(LONG, 50), {"row_group_size": 1}),
    "a late one": (pa.array(["on"] * (ROWS - 1) + [LONG]), {}),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_text_that_is_too_long_is_refused_before_it_is_repeated(tmp_path, bomb):
    column, options = BOMBS[bomb]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"v": column}), path, store_schema=False, **options)
    pool = pa.default_memory_pool()
    before = pool.max_memory()
    opened = open_table(path)
    with pytest.raises(UserError, match=r"column 'v' holds a text of 20,00\d bytes"):
        [*opened.chunks(["v"])]
    with pytest.raises(UserError, match="holds a text of"):
        opened.first_rows(2_000)
    assert pool.max_memory() - before < 64 << 20


@pytest.mark.parametrize("size", [10, 3_999])
def test_chunks_are_bounded_by_bytes_and_hold_all_rows_in_order(tmp_path, size):
    path = tmp_path / "a.parquet"
    texts = pa.array([f"{n}:".ljust(size, "y") for n in range(7)])
    numbers = np.arange(ROWS)
    column = pa.DictionaryArray.from_arrays(pa.array(numbers.astype(np.int32) % 7), texts)
    pq.write_table(pa.table({"v": column, "n": pa.array(numbers)}), path, store_schema=False)
    opened = open_table(path)
    rows = []
    for chunk in opened.chunks(["n", "v"]):
        assert sum(cells.nbytes for cells in chunk.columns.values()) < 24 << 20
        rows += zip(chunk.columns["n"].to_pylist(), chunk.columns["v"].to_pylist(), strict=True)
        assert chunk.lines[-1] == len(rows)
    assert [int(n) for n, _ in rows] == [*range(ROWS)]
    assert {v.split(":")[0] == str(int(n) % 7) for n, v in rows} == {True}
    assert len(rows[0][1]) == size


def test_a_page_that_is_too_large_is_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    monkeypatch.setattr(parquet_table, "LARGEST_PAGE", 1 << 20)
    pq.write_table(pa.table({"v": pa.array(["x" * (2 << 20)])}), path, use_dictionary=False)
    with pytest.raises(UserError, match=r"column 'v' has a page of 2,097,\d\d\d bytes"):
        open_table(path).first_rows(1)


def test_what_no_cell_holds_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    monkeypatch.setattr(parquet_table, "_pages", None)
    for column in (pa.array([[1] * 99] * 9), pa.array([b"x" * 20_000] * 9, pa.binary(20_000))):
        pq.write_table(pa.table({"v": column}), path)
        with pytest.raises(UserError, match="neither number, text, boolean nor time"):
            open_table(path).first_rows(1)
