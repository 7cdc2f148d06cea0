"""A file of which much is stated loses no row: a row is no line of titles, a line of units none of
the rows."""

import pytest

from alerting.adapters.files.find_form import open_table
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import FileForm

pytestmark = pytest.mark.fast

WITHOUT_TITLES = {
    "stamps first": ["2026-03-02 06:0{}:00", "{}", "0.5"],
    "stamps with the day first": ["02.03.2026 06:0{}", "{}", "on"],
    "texts and one stamp": ["oven", "running", "2026-03-02 06:0{}:00"],
    "counts": ["177238080{}", "oven", "{}"],
}
NAMES = ("a", "b", "c")


def read(tmp_path, lines, **stated):
    path = tmp_path / "line.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    table = open_table(path, FileForm(**stated))
    return table, [int(n) for chunk in table.chunks(table.titles) for n in chunk.lines]


def test_the_first_row_of_a_file_without_titles_is_a_row(tmp_path):
    wrong = {}
    for name, cells in WITHOUT_TITLES.items():
        rows = [";".join(cells).format(i, i) for i in range(8)]
        for stated in (
            {},
            {"time": NAMES[["0{}" in cell for cell in cells].index(True)]},
        ):
            table, numbers = read(tmp_path, rows, columns=NAMES, **stated)
            if (numbers, table.first_line) != ([*range(1, 9)], 1):
                wrong[name, *stated] = numbers
    assert wrong == {}


def test_a_row_is_not_taken_for_the_titles_that_are_replaced(tmp_path):
    rows = ["a;b;c", *(f"2026-03-02 06:0{i}:00;{i};5" for i in range(8))]
    for line, stated in ((1, {}), (1, {"time": "a"}), (3, {}), (3, {"time": "a"})):
        lines = rows[1:] if line == 1 else rows
        with pytest.raises(UserError, match=f"line {line} holds values, not titles"):
            read(tmp_path, lines, columns=NAMES, header_line=line, **stated)


def test_it_is_said_which_line_of_titles_is_replaced(tmp_path):
    rows = ["t;x;y", *(f"2026-03-02 06:0{i}:00;{i};5" for i in range(8))]
    for stated in ({}, {"header_line": 1}, {"header_line": 1, "time": "a"}):
        table, numbers = read(tmp_path, rows, columns=NAMES, **stated)
        assert table.notes == ("--columns replaces line 1 (a row? add --header-line 0)",)
        assert numbers == [*range(2, 10)]
    assert read(tmp_path, rows)[0].notes == ()


def test_a_line_of_units_below_titles_of_which_all_is_stated_is_no_row(tmp_path):
    rows = [f"2026-03-02 06:0{i}:00;{i};5" for i in range(8)]
    for units in ("ISO8601;°C;bar", "[UTC+1];°C;bar", ";°C;bar"):
        stated = {"columns": NAMES, "header_line": 1, "time": "a"}
        table, numbers = read(tmp_path, ["t;x;y", units, *rows], **stated)
        assert (table.titles, table.unit_line) == (("a", "b [°C]", "c [bar]"), 2)
        assert numbers == [*range(3, 11)]
