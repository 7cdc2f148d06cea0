"""Readings of a file as batches of columns, parsed once or twice."""

import os

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
