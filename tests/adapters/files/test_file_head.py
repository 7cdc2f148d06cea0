"""Titles of the file above the names of columns, and units below them, as plants write them."""

from itertools import product

import pytest

from alerting.adapters.files.csv_table import CsvTable
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


TITLES = ("Zeitstempel", "Anlage", "Temperatur", "Druck")
ABOVE = [
    ("Messwerte Linie 3",),
    ("Messwerte Linie 3;;;",),
    ("", "Messwerte Linie 3", ""),
    ("Export;24.10.2026", "Linie;3"),
]


def test_the_header_is_found_below_titles_of_the_file(tmp_path):
    found = []
    for above, separator in product(ABOVE, (None, ";")):
        table, rows = read(tmp_path, *above, HEADER, *ROWS, separator=separator)
        found.append((above, table.titles, rows, table.notes[0].partition("; the lines above")[0]))
    assert found == [
        (above, TITLES, [line + 1, line + 2], f"line {line} names the columns")
        for above, line in ((above, len(above) + 1) for above in ABOVE for _ in range(2))
    ]


UNITS = (";;°C;bar", "[dd.mm.yyyy];;[°C];[bar]", "-;-;(°C);(bar)")


def test_a_line_of_units_below_the_header_gives_the_columns_their_units(tmp_path):
    found = [(units, read(tmp_path, HEADER, units, *ROWS)) for units in UNITS]
    titles = ("Zeitstempel", "Anlage", "Temperatur [°C]", "Druck [bar]")
    told = (titles, [3, 4], ("line 2 holds the units of the columns",))
    assert [(units, (table.titles, rows, table.notes)) for units, (table, rows) in found] == [
        (units, told) for units in UNITS
    ]
    table, _ = read(tmp_path, "Zeit;T [K];p", ";°C;bar", "24.10.2026 22:00;1;2")
    assert table.titles == ("Zeit", "T [K]", "p [bar]")  # a unit that a title names stays


VALUES = {
    # a row without time or values
    (HEADER, ";Ofen 2;---;n.a.", *ROWS): TITLES,
    # texts that are units, too
    ("Zeit;Rezept;Schicht", ";A;C", "24.10.2026 22:00;A;B"): ("Zeit", "Rezept", "Schicht"),
    ("Wert", "12,5", "13,5"): ("Wert",),
    ("a;b;c", "1;2;3;", "1;2;3;"): ("a", "b", "c"),
    ("asset,line,maker", "oven-1,L1,ACME,", "oven-2,L1,ACME,"): ("asset", "line", "maker"),
}


def test_no_row_of_values_is_taken_for_the_head(tmp_path):
    tables = {lines: read(tmp_path, *lines)[0] for lines in VALUES}
    assert {lines: (table.titles, table.notes) for lines, table in tables.items()} == {
        lines: (titles, ()) for lines, titles in VALUES.items()
    }
    with pytest.raises(UserError, match="the first line is empty; it must name the columns"):
        read(tmp_path, "", "")
