"""Where the rows of a file begin, and which lines above them name its columns and their units."""

from itertools import product

import pytest

from alerting.adapters.files.find_form import open_table
from alerting.adapters.files.readings_and_events import ReadingsFile
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import FileForm
from alerting.ports import silent

pytestmark = pytest.mark.fast

HEADER = "Zeitstempel;Anlage;Temperatur;Druck"
ROWS = ("24.10.2026 22:00;Ofen 2;201,5;1,2", "24.10.2026 22:01;Ofen 2;202,5;1,3")


def read(tmp_path, *lines, separator=None, header_line=None, columns=()):
    path = tmp_path / "line.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    form = FileForm(
        separator=separator, encoding="utf-8", header_line=header_line, columns=tuple(columns)
    )
    table = open_table(path, form)
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
        found.append((above, table.titles, rows, table.title_lines))
    assert found == [
        (above, TITLES, [line + 1, line + 2], (line,))
        for above, line in ((above, len(above) + 1) for above in ABOVE for _ in range(2))
    ]


UNITS = (";;°C;bar", "[dd.mm.yyyy];;[°C];[bar]", "-;-;(°C);(bar)")


def test_a_line_of_units_below_the_header_gives_the_columns_their_units(tmp_path):
    found = [(units, read(tmp_path, HEADER, units, *ROWS)) for units in UNITS]
    titles = ("Zeitstempel", "Anlage", "Temperatur [°C]", "Druck [bar]")
    told = (titles, [3, 4], 2, ())
    assert [
        (units, (table.titles, rows, table.unit_line, table.notes))
        for units, (table, rows) in found
    ] == [(units, told) for units in UNITS]
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


def stamped(cells, count=6, day="02.03.2026 "):
    """Rows of one minute each, in which `{}` are numbers that grow."""
    return [f"{day}06:{minute:02};" + cells.replace("{}", f"{minute},5") for minute in range(count)]


SEVERAL_LINES = {
    "zones": ("Zeit;Zone 1;;Zone 2;", ";Temp;Takt;Temp;Takt", *stamped("{};1;{};2")),
    "statistics": ("Time;Oil;;Air;", ";Avg;Max;Avg;Max", ";°C;°C;bar;bar", *stamped("{};2;{};3")),
    "levels": (
        *("Zeit;Linie 1;;Linie 2;", ";Ofen;;Ofen;", ";T;p;T;p", "dd.MM.yyyy HH:mm;K;Pa;K;Pa"),
        *stamped("{};1;{};2"),
    ),
    "inverters": (
        *("sep=;", "Version 3|Tool X", "", ";SN: 77;SN: 77;SN: 88;SN: 88", ";77;77;88;88"),
        *(";Yield;Power;Yield;Power", ";Counter;Analog;Counter;Analog", "dd.MM.yyyy;kWh;W;kWh;W"),
        *stamped("{};1;{};2"),
    ),
    "registers": (
        *("Date;Clock;1;2", ";;Inlet water;Outlet water", ";;%MW10;%MW12", ";;REAL;INT", ";;°C;"),
        *stamped("{};7", day="02.03.2026;"),
    ),
    "logger": (
        *("TOB1;CR6;11;Std.9", "TIMESTAMP;RECORD;Wind_Avg", "TS;RN;m/s", ";;Avg"),
        *stamped("4;{}"),
    ),
    "preamble": ("Machine;7;", "Shift;late;", "Part;Force [N];Path [mm]", "1;2,5;3", "2;2,6;4"),
    "labels": (
        "Ch.;;0001",
        "Tag;;Inlet",
        "Unit;;degC",
        "Date;Time;",
        *stamped("{}", day="1.3.26;"),
    ),
}
TITLES_OF_SEVERAL = {
    "zones": ("Zeit", "Zone 1 Temp", "Zone 1 Takt", "Zone 2 Temp", "Zone 2 Takt"),
    "statistics": ("Time", "Oil Avg [°C]", "Oil Max [°C]", "Air Avg [bar]", "Air Max [bar]"),
    "levels": ("Zeit", "Linie 1 T [K]", "Linie 1 p [Pa]", "Linie 2 T [K]", "Linie 2 p [Pa]"),
    "inverters": (
        *("column_1", "SN: 77 Yield [kWh]", "SN: 77 Power [W]"),
        *("SN: 88 Yield [kWh]", "SN: 88 Power [W]"),
    ),
    "registers": ("Date", "Clock", "Inlet water [°C]", "Outlet water"),
    "logger": ("TIMESTAMP", "RECORD", "Wind_Avg [m/s]"),
    "preamble": ("Part", "Force [N]", "Path [mm]"),
    "labels": ("Date", "Time", "Inlet [degC]"),
}
LINES = {  # of titles, of units, of the first row
    "zones": ((1, 2), None, 3),
    "statistics": ((1, 2), 3, 4),
    "levels": ((1, 3), 4, 5),
    "inverters": ((4, 6), 8, 9),
    "registers": ((1, 2), 5, 6),
    "logger": ((2,), 3, 5),
    "preamble": ((3,), None, 4),
    "labels": ((2, 4), 3, 5),
}


def test_titles_of_several_lines_are_joined_as_far_as_it_needs_to_tell_columns_apart(tmp_path):
    tables = {kind: read(tmp_path, *lines)[0] for kind, lines in SEVERAL_LINES.items()}
    assert {kind: table.titles for kind, table in tables.items()} == TITLES_OF_SEVERAL
    lines = {kind: (t.title_lines, t.unit_line, t.first_line) for kind, t in tables.items()}
    assert lines == LINES
    assert tables["registers"].notes == ("lines 3 and 4 are not read: '%MW10 %MW12'",)


AT = "2026-03-02T06:00"
ABOVE_TIMES = {  # lines of the head, cells of the rows; titles and first row
    ("Anlage;Ofen;Ofen;Presse", "Zeit;T1;T2;", "{};1;2,5"): (("Zeit", "T1", "T2", "Presse"), 3),
    ("Werk;Nord;Süd;Meier", "Zeit;1;S1;Von;Bis", f"{{}};1;{AT};{AT}"): (
        ("Zeit", "1", "S1", "Von", "Bis"),
        3,
    ),
    ("Plant;7", "Zone;UTC", "Date:;2026-03-02", "{};run"): (("ts", "column_2", "column_3"), 4),
}


def test_titles_are_on_the_lowest_line_that_names_the_stamps(tmp_path):
    for (*lines, cells), (titles, first) in ABOVE_TIMES.items():
        table, rows = read(tmp_path, *lines, *stamped(cells))
        assert (table.titles, rows[0], table.first_line) == (titles, first, first)


TAGGED = [f"2026/03/02 06:0{minute}:00\t{minute}\t7\t1" for minute in range(6)]
UNDER_LABELS = {  # titles, lines of titles, line of units, first line
    "two lines of labels": (
        *("Nr;1;2", "Bezeichnung;Zulauf;Druck", "Einheit;°C;bar", "Messwerte"),
        *stamped("{};2"),
    ),
    "the least and the most of one channel": (
        *("Device\tR8", "Ch\t0007\t0007\tAlarm", "Tag\tInlet\tInlet\t", "Unit\tdegC\tdegC\t"),
        *("Type\tDisp\tDisp\tText", "Kind\tMin\tMax\tCount", "[Data]", *TAGGED),
    ),
    "a heading": ("Plant;North", "Time;Level;Flow", "---;m;l/s", "DATA", *stamped("{};2")),
    "types that differ": (
        *("Channel;A1;D1", "Name;Kessel;Tor", "Typ;Analog;Digital", "Data", *stamped("{};1")),
    ),
    "texts beside units": (
        *("No.,Date,CH1,CH2,State", "n,Date/Time,degC,kPa,ABC"),
        *(f"{n},2026/03/02 06:0{n}:00,+ {n}1.5,-  {n}.5,HH" for n in range(6)),
    ),
    "datasets": (
        *('"#NAMES"', '"t_stamp","Oven/T","Oven/n"', '"#TYPES"', '"date","D","I"', '"#ROWS","6"'),
        *(f'"2026-03-02 06:0{n}:00","{n}.5","7"' for n in range(6)),
    ),
    "datasets, unquoted": (
        *("#NAMES", "t_stamp,Press/T,Press/n", "#TYPES", "date,F,I", "#ROWS,6"),
        *(f"2026-03-02 06:0{n}:00,{n}.5,7" for n in range(6)),
    ),
    "datasets without types": (
        *('"#NAMES"', '"Time","State","Flow"', '"#ROWS","6"'),
        *(f'"2026-03-02 06:0{n}:00","run","{n}.5"' for n in range(6)),
    ),
}
FOUND_UNDER_LABELS = {
    "two lines of labels": (("Bezeichnung", "Zulauf [°C]", "Druck [bar]"), (2,), 3, 5),
    "the least and the most of one channel": (
        ("Kind", "Inlet Min [degC]", "Inlet Max [degC]", "Count"), (3, 6), 4, 8
    ),
    "a heading": (("Time", "Level [m]", "Flow [l/s]"), (2,), 3, 5),
    "types that differ": (("Name", "Kessel", "Tor"), (2,), None, 5),
    "texts beside units": (("No.", "Date", "CH1 [degC]", "CH2 [kPa]", "State"), (1,), 2, 3),
    "datasets": (("t_stamp", "Oven/T", "Oven/n"), (2,), None, 6),
    "datasets, unquoted": (("t_stamp", "Press/T", "Press/n"), (2,), None, 6),
    "datasets without types": (("Time", "State", "Flow"), (2,), None, 4),
}  # fmt: skip


def test_labels_and_headings_between_titles_and_rows_are_no_titles(tmp_path):
    tables = {kind: read(tmp_path, *lines)[0] for kind, lines in UNDER_LABELS.items()}
    places = {k: (t.titles, t.title_lines, t.unit_line, t.first_line) for k, t in tables.items()}
    assert places == FOUND_UNDER_LABELS


LANGUAGES = {
    ("Time;Air;Water;Steam", "Temps;Air sec;Eau;Vapeur", "s;°C;°C;bar"): "Air sec [°C]",
    ("Stamp;T_in;T_out;Pump", "Zeitstempel;Zulauf;Ablauf;Pumpe"): "Zulauf",
    ("Time;Spare 1;Spare 2;Flow", "Zeit;Reserve;Reserve;Durchfluss"): "Spare 1",
}


def test_of_titles_in_two_languages_one_line_counts_as_a_whole(tmp_path):
    for head, title in LANGUAGES.items():
        table, _ = read(tmp_path, *head, *stamped("{};2;3"))
        line = head[table.title_lines[0] - 1]
        assert (len(table.title_lines), table.titles[1]) == (1, title)
        assert [t.partition(" [")[0] for t in table.titles] == line.split(";")
        is_choice = any("line 1 names all columns, too: --header-line 1" in n for n in table.notes)
        assert is_choice == (table.title_lines == (2,))


NO_TITLES = {
    "stamps": (stamped("{};on;{}"), ("ts", "column_2", "column_3", "column_4")),
    "counts": (
        [f"{1_772_409_600_000 + n},nan,{n}.5" for n in range(4)],
        ("ts", "column_2", "column_3"),
    ),
    "clock": (stamped("{}", day="02.03.2026;"), ("column_1", "column_2", "column_3")),
    "numbers": (["1.5\t2", "1.5\t3", "1.6\t4"], ("column_1", "column_2")),
}


def test_a_first_line_of_values_is_a_row_and_no_header(tmp_path):
    for rows, titles in NO_TITLES.values():
        table, lines = read(tmp_path, *rows)
        note = "the first line holds values, not titles: name the columns with --columns"
        assert (table.titles, table.notes) == (titles, (note,))
        assert (table.title_lines, lines) == ((), [*range(1, len(rows) + 1)])


ANNOTATED = ("#group,false,true", "#default,_result,", ",_time,flow")
COMMENTED = {
    "annotated": (
        [*ANNOTATED, ",2026-03-02T06:00Z,1", "", *ANNOTATED, ",2026-03-02T06:01Z,2"],
        ("column_1", "_time", "flow"),
        [4, 9],
    ),
    "marked titles": (["# made by x", "#Time;a", *stamped("1", 2)], ("Time", "a"), [3, 4]),
    "a title": (["Plot: 7", "#;Time;a", "1;02.03.2026 06:00;7"], ("#", "Time", "a"), [3]),
    "in the rows": (
        ["Time;a", *stamped("1", 2), "# checked; ok", *stamped("2", 2)],
        ("Time", "a"),
        [2, 3, 5, 6],
    ),
    "slashes": (["// a", "// b", "Time;a", *stamped("1", 2), "//END"], ("Time", "a"), [4, 5]),
    "identifiers": (["lot;a", "#1;2", "#2;2", "#3;2"], ("lot", "a"), [2, 3, 4]),
    "head again": (["T;a", ";°C", *stamped("1", 1)] * 2, ("T", "a [°C]"), [3, 6]),
}


def test_comments_and_a_head_that_comes_again_are_no_rows(tmp_path):
    for kind, (lines, titles, rows) in COMMENTED.items():
        table, read_lines = read(tmp_path, *lines)
        assert (kind, table.titles, read_lines) == (kind, titles, rows)
    assert table.notes[-1] == "2 lines that are comments or repeat the head were passed over"


SECONDS = ["0.0;1,5", "0.1;1,6", "0.2;1,7"]
STATED = {
    "date": (["Ofen;3", "Datum;02.03.2026", "", "Uhrzeit;T", "06:00:00;1", "06:00:01;2"],
             (None, "2026-03-02", None), ("Uhrzeit", "T")),
    "start": (["Start time: 2026-03-02 07:18:18,5", "Time (s);T", *SECONDS],
              (None, "2026-03-02", "2026-03-02T07:18:18.5"), ("Time (s)", "T")),
    "zone": (["Zeitzone;Europe/Berlin", "Zeit;T", *stamped("{}")],
             ("Europe/Berlin", None, None), ("Zeit", "T")),
    "comment": (["# Time zone: GMT-05:00", "Time;T", *stamped("{}")],
                ("GMT-05:00", None, None), ("Time", "T")),
    "measurement": (
        ["LabVIEW Measurement\t", "Date\t2026/03/02", "Time\t07:18:18,9389", "***End***\t", "\t",
         "Y_Unit_Label\tbar\t°C\t", "Delta_X\t0,1\t0,1\t", "X_Value\tp\tT\tComment",
         "0,0\t2,1\t80,5", "0,1\t2,2\t80,6", "0,2\t2,3\t80,7"],
        (None, "2026-03-02", "2026-03-02T07:18:18.9389"),
        ("X_Value", "p [bar]", "T [°C]", "Comment"),
    ),
    "day or month": (["Date;03/02/2026", "Time;T", "06:00;1", "06:01;2"],
                     (None, None, None), ("Time", "T")),
}  # fmt: skip


def test_a_preamble_states_zone_date_and_start(tmp_path):
    tables = {kind: read(tmp_path, *lines)[0] for kind, (lines, *_) in STATED.items()}
    assert {kind: (tuple(t.stated), t.titles) for kind, t in tables.items()} == {
        kind: (stated, titles) for kind, (_, stated, titles) in STATED.items()
    }


SIDES = {
    ("Hall power;;;Energy;", "Date;P;;Date;E"): (("Date", "P"), ("Date (2)", "E")),
    ("Time 1;P;;Time 2;E",): (("Time 1", "P"), ("Time 2", "E")),
    ("A;;;B;", "Time;T;;Time;T"): (("Time", "A T"), ("Time (2)", "B T")),
}


def test_each_of_tables_side_by_side_needs_its_own_import_and_has_its_own_rows(tmp_path):
    rows = ["02.03.2026 06:00;1,5;;02.03.2026 00:00;9", "02.03.2026 07:00;1,6;;;"]
    for head, tables in SIDES.items():
        table, lines = read(tmp_path, *head, *rows)
        assert (table.tables, len(lines)) == (tables, 2)
        assert sum(len(chunk.lines) for chunk in table.chunks(tables[1])) == 1
        with pytest.raises(UserError, match="each needs its own import: name its stamps with"):
            ReadingsFile(table.path, FileForm(asset="a"))
        with pytest.raises(UserError, match="no column of another table"):
            ReadingsFile(table.path, FileForm(asset="a", time=tables[0][0], only=tables[1][1:]))
        file = ReadingsFile(table.path, FileForm(asset="a", time=tables[1][0]))
        assert list(file.profile(silent).columns) == [tables[1][1]]


TWO = ("Zeit;Temp;Temp", ";innen;außen", *stamped("{};1"))
CHOSEN = {
    (1, ()): (("Zeit", "Temp", "Temp (2)"), 3),
    (2, ()): (("Zeit", "innen", "außen"), 3),
    (None, ("t", "a", "b")): (("t", "a", "b"), 3),
    (2, ("t", "a", "b")): (("t", "a", "b"), 3),
    (0, ("t", "a", "b")): (("t", "a", "b"), 3),
}
NOT_CHOSEN = {
    (3, ()): "line 3 holds values, not titles",
    (99, ()): "the titles must be in the first 8 lines",
    (None, ("t", "a")): "--columns gives 2 names, but the table has 3 columns",
    (None, ("t", "a", "a")): "'a' more than once",
}


def test_the_line_of_titles_and_the_titles_can_be_chosen(tmp_path):
    for (line, columns), (titles, first) in CHOSEN.items():
        table, rows = read(tmp_path, *TWO, header_line=line, columns=columns)
        assert (table.titles, rows[0]) == (titles, first)
    for (line, columns), reason in NOT_CHOSEN.items():
        with pytest.raises(UserError, match=reason):
            read(tmp_path, *TWO, header_line=line, columns=columns)
    with pytest.raises(UserError, match="line 2 does not name the 3 columns"):
        read(tmp_path, "Zeit;Temp;Druck", "Ofen", *stamped("{};1"), header_line=2)


SEPARATED = {
    ("Zeit;Temp, °C;p, bar", *stamped("{};1,2")): ";",
    ("2026-03-02 06:00,5;1,5", "2026-03-02 06:01,5;1,6"): ";",
    ("Time | T", "---------|------", "2026-03-02 06:00 | 1.5", "2026-03-02 06:01 | 2"): "|",
    ("n,asset; title,x", "1,a; b,5", "2,a,6", "3,c,7"): ",",
}


def test_the_separator_is_the_one_that_leaves_numbers_and_stamps(tmp_path):
    separators = {lines: read(tmp_path, *lines)[0].separator for lines in SEPARATED}
    assert separators == SEPARATED


ENDS = {
    "empty at the end": (["Zeit;a", *(f"{row};" for row in stamped("1"))], 6),
    "remarks": (
        ["No;Time;a;Serial Number", "1;02.03.2026 06:00;1;007", *["2;02.03.2026 06:01;2"] * 5],
        6,
    ),
    "cut": (["Zeit;a;b", *stamped("1;2"), "02.03.2026 07:00;1"], 6),
    "without a time": (["Zeit;Ofen;a", ";Ofen 2;---", *stamped("x;2")], 7),
}


def test_rows_keep_their_places_and_only_whole_ones_are_rows(tmp_path):
    assert {kind: len(read(tmp_path, *lines)[1]) for kind, (lines, _) in ENDS.items()} == {
        kind: count for kind, (_, count) in ENDS.items()
    }


ABOVE_TITLES = {  # lines above the titles, and what is said of them
    ("Line 7", "Export"): ("lines 1 and 2 are not read: 'Line 7'",),
    ("Line 7", "Time zone: Europe/Berlin"): ("line 1 is not read: 'Line 7'",),
    ("Time zone: Europe/Berlin",): (),
}


def test_a_line_whose_zone_is_used_is_not_called_unread(tmp_path):
    for above, notes in ABOVE_TITLES.items():
        table, _ = read(tmp_path, *above, "Zeit;Zulauf", *stamped("{}"))
        assert table.notes == notes
