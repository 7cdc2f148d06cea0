"""Titles of the file above the names of columns, and units below them, as plants write them."""

import pytest

from alerting.adapters.files.tables.csv_table import CsvTable
from alerting.definitions.faults import UserError

pytestmark = pytest.mark.fast

HEADER = "Zeitstempel;Anlage;Temperatur;Druck"
ROWS = ("24.10.2026 22:00;Ofen 2;201,5;1,2", "24.10.2026 22:01;Ofen 2;202,5;1,3")


def read(tmp_path, *lines, separator=None):
    path = tmp_path / "line.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    table = CsvTable(path, separator, "utf-8")
    rows = [int(n) for chunk in table.chunks(table.titles) for n in chunk.lines]
    return table, rows


@pytest.mark.parametrize(
    "above",
    [
        ("Messwerte Linie 3",),
        ("Messwerte Linie 3;;;",),
        ("", "Messwerte Linie 3", ""),
        ("Export;24.10.2026", "Linie;3"),
    ],
)
@pytest.mark.parametrize("separator", [None, ";"])
def test_the_header_is_found_below_titles_of_the_file(tmp_path, above, separator):
    table, rows = read(tmp_path, *above, HEADER, *ROWS, separator=separator)
    assert table.titles == ("Zeitstempel", "Anlage", "Temperatur", "Druck")
    line = len(above) + 1
    assert rows == [line + 1, line + 2]
    assert table.notes[0].startswith(f"line {line} names the columns; the lines above it are not")


@pytest.mark.parametrize("units", [";;°C;bar", "[dd.mm.yyyy];;[°C];[bar]", "-;-;(°C);(bar)"])
def test_a_line_of_units_below_the_header_gives_the_columns_their_units(tmp_path, units):
    table, rows = read(tmp_path, HEADER, units, *ROWS)
    assert table.titles == ("Zeitstempel", "Anlage", "Temperatur [°C]", "Druck [bar]")
    assert (rows, table.notes) == ([3, 4], ("line 2 holds the units of the columns",))


def test_a_unit_that_a_title_names_stays(tmp_path):
    table, _ = read(tmp_path, "Zeit;T [K];p", ";°C;bar", "24.10.2026 22:00;1;2")
    assert table.titles == ("Zeit", "T [K]", "p [bar]")


@pytest.mark.parametrize(
    "lines",
    [
        (HEADER, ";Ofen 2;---;n.a.", *ROWS),  # a row without time or values
        ("Zeit;Rezept;Schicht", ";A;C", "24.10.2026 22:00;A;B"),  # texts that are units, too
        ("Wert", "12,5", "13,5"),
        ("a;b;c", "1;2;3;", "1;2;3;"),
        ("asset,line,maker", "oven-1,L1,ACME,", "oven-2,L1,ACME,"),
    ],
)
def test_no_row_of_values_is_taken_for_the_head(tmp_path, lines):
    path = tmp_path / "line.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    table = CsvTable(path, None, "utf-8")
    assert table.notes == ()
    assert ";".join(table.titles).replace(";", "") == lines[0].replace(";", "").replace(",", "")


def test_a_file_of_blank_lines_names_no_columns(tmp_path):
    path = tmp_path / "line.csv"
    path.write_text("\n\n\n")
    with pytest.raises(UserError, match="the first line is empty; it must name the columns"):
        CsvTable(path, None, "utf-8")
