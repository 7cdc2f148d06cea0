"""Readings of a file as batches of columns, parsed once or twice."""

import os
import sys
from collections import Counter

import pytest

from alerting.adapters.files import readings_and_events
from alerting.adapters.files.readings_and_events import ReadingsFile
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import FileForm
from alerting.ports import silent

pytestmark = pytest.mark.fast

TEXT = "ts,asset,temperature,running,recipe\n" + "".join(
    f"2026-01-01T00:{i // 60:02}:{i % 60:02}Z,oven-{i % 2},{'' if i % 7 == 0 else i / 3},{'true' if i % 2 else '0'},r{i % 3}\n"  # noqa: E501
    for i in range(500)
)
TYPES = {"temperature": "number", "running": "boolean", "recipe": "category"}


def refuse(line):
    raise AssertionError(line)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "line.csv"
    path.write_text(TEXT)
    return path


def read(source, types=TYPES):
    source.profile(silent)
    return read_again(source, types)


def read_again(source, types=TYPES):
    return [row for batch in source.read(types, refuse, silent) for row in batch]


def test_a_small_file_is_parsed_once_and_gives_the_same_rows_unless_it_has_changed(
    file, monkeypatch
):
    source = ReadingsFile(file, FileForm())
    parsed_once = read(source)
    assert parsed_once == read_again(source), "the second time, it is parsed again"
    monkeypatch.setattr(readings_and_events, "PARSED_ONCE", 0)
    large = ReadingsFile(file, FileForm())
    assert (read(large), large._parsed) == (parsed_once, None)
    assert len(parsed_once) == 500
    assert parsed_once[1].values == {"temperature": 1 / 3, "running": True, "recipe": "r1"}
    assert parsed_once[0].values == {"running": False, "recipe": "r0"}
    monkeypatch.undo()
    changed = ReadingsFile(file, FileForm())
    changed.profile(silent)
    file.write_text(TEXT.replace("oven-1", "oven-2"))
    os.utime(file, ns=(1, 1))
    with pytest.raises(UserError, match="changed during its import"):
        read_again(changed)


def test_a_word_that_stands_for_no_value_may_be_a_number(file):
    file.write_text("ts,temperature\n2026-01-01T00:00:00Z,1\n2026-01-01T00:00:01Z,-999\n")
    source = ReadingsFile(file, FileForm(asset="oven-1", missing=("-999",)))
    rows = read(source, {"temperature": "number"})
    assert [row.values for row in rows] == [{"temperature": 1.0}]


STATED = {
    "time": "ts",
    "time_format": "iso",
    "zone": "UTC",
    "separator": ",",
    "decimal": ".",
    "encoding": "utf-8",
    "header_line": 2,
    "columns": ("ts", "asset", "temperature"),
    "is_wide": True,
    "only": ("temperature",),
}
FINDERS = {  # a field, and what finds it
    "time": "_stamp_titles",
    "time_format": "find_format",
    "separator": "choose_separator",
    "encoding": "_encoding_by_mark",
    "is_wide": "_may_be_variable",
    "only": "restates_time",
}


def called_for(path, form):
    """Count the calls of functions to open and read a file, by name."""
    names = Counter()
    sys.setprofile(lambda frame, event, _: names.update([frame.f_code.co_name] * (event == "call")))
    try:
        read(ReadingsFile(path, form), {"temperature": "number"})
    finally:
        sys.setprofile(None)
    return names


def test_a_stated_field_skips_its_finder(tmp_path):
    path = tmp_path / "one.csv"
    rows = "".join(f"17672256{second},oven-1,2.5\n" for second in (10, 20))
    path.write_text(f"Line 3\nclock,asset,temperature\n{rows}")
    searched = called_for(path, FileForm())
    assert {*FINDERS.values()} - {*searched} == set()
    for field, finder in FINDERS.items():
        value = "clock" if field == "time" else STATED[field]
        assert finder not in called_for(path, FileForm(**{field: value})), field
    others = {"usual_width", "number_form", "contains_stamps", "zone_in"}
    called = called_for(path, FileForm(**STATED))
    assert not {*FINDERS.values(), *others} & {*called}
    assert called["cell_kind"] == 4, "of the titles, which may be a row, and of the first stamp"


@pytest.mark.parametrize("decimal", [".", ","])
def test_thousands_are_read_beside_a_stated_decimal_mark(tmp_path, decimal):
    path = tmp_path / "line.csv"
    rows = [f"2026-03-02T06:0{i}:00Z;1.234,10{i};1.10{i}\n" for i in range(5)]
    marks = str.maketrans(",.", ".,") if decimal == "." else {}
    path.write_text("ts;a;b\n" + "".join(rows).translate(marks))
    source = ReadingsFile(path, FileForm(asset="oven-1", decimal=decimal))
    values = [row.values for row in read(source, {"a": "number", "b": "number"})]
    assert values == [{"a": float(f"1234.10{i}"), "b": 1100 + i} for i in range(5)]


TWICE = {  # a column with two meanings: of how many of two lines is something wrong
    "a time and a quality": ({"time": "b", "quality": "b"}, 2),
    "a quality and the asset": ({"asset": None, "asset_column": "b", "quality": "b"}, 0),
    "the asset and the time": ({"asset": None, "asset_column": "ts"}, 0),
}


def test_a_column_may_be_stated_twice_and_its_cells_are_checked(tmp_path):
    path = tmp_path / "line.csv"
    path.write_text("ts,a,b\n2026-03-02T06:00:00Z,1,192\n2026-03-02T06:01:00Z,2,64\n")
    for name, (stated, bad) in TWICE.items():
        source = ReadingsFile(path, FileForm(**{"asset": "oven-1"} | stated))
        assert source.profile(silent).bad == bad, name
