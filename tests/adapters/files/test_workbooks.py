"""Workbooks as laboratories write them, read like CSV of the same cells; tables in archives."""

import gzip
import zipfile
from datetime import UTC, date, datetime, time, timedelta

import openpyxl
import pyarrow as pa
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from pyarrow import parquet

from alerting.adapters.files.find_form import find_form, first_lines, hash_form, open_table
from alerting.adapters.files.packed import SheetWanted
from alerting.adapters.files.readings_and_events import open_rows
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import FileForm, describe_form
from alerting.ports import silent

FIRST = datetime(2026, 3, 2, 6)  # noqa: DTZ001 - cells have no zone
TIMES = [FIRST + timedelta(hours=6 * i) for i in range(20)]
AT = [datetime(2026, 3, 2, 5, tzinfo=UTC) + timedelta(hours=6 * i) for i in range(20)]


def book(*rows, title="Messwerte"):
    made = openpyxl.Workbook()
    made.active.title = title
    fill(made.active, *rows)
    return made


def fill(sheet, *rows):
    for row in rows:
        sheet.append(row)


def of_times(*cells):
    return [
        [at, *(cell(i) if callable(cell) else cell for cell in cells)] for i, at in enumerate(TIMES)
    ]


def title_block():
    above = [["Prüfbericht 4711"], ["Prüfer:", "Müller"], ["Datum", date(2026, 3, 2)], []]
    return book(*above, ["Zeitstempel", "Feuchte [%]", "pH"], *of_times(lambda i: 4 + i / 10, 7.25))


def group_titles():
    made = book(
        ["Zeit", "Ofen 1", None, "Ofen 2", None],
        [None, "Temperatur", "Druck", "Temperatur", "Druck"],
        *of_times(200, 1.5, 210, lambda i: 1 + i / 8),
    )
    for cells in ("A1:A2", "B1:C1", "D1:E1"):
        made.active.merge_cells(cells)
    return made


def dates_as_text():
    rows = [[at.strftime("%d.%m.%Y %H:%M"), i] for i, at in enumerate(TIMES)]
    return book(["Datum/Uhrzeit", "Wert"], *rows)


def from_1904():
    made = openpyxl.Workbook()
    made.epoch = CALENDAR_MAC_1904
    fill(made.active, ["time", "t"], *of_times(lambda i: i))
    return made


def several_sheets():
    made = book(["Zeit", "A"], *of_times(1), title="Linie 1")
    fill(made.create_sheet("Linie 2"), ["Zeit", "B"], *of_times(lambda i: i))
    return made


def a_hidden_and_an_empty_sheet():
    made = book(["Hinweis"], ["Bitte nur die gelben Felder ausfüllen", "danke"], title="Anleitung")
    fill(made.create_sheet("Messwerte"), ["Zeit", "B"], *of_times(lambda i: i))
    lists = made.create_sheet("Listen")
    fill(lists, *([i, date(2026, 1, 1)] for i in range(30)))
    lists.sheet_state = "hidden"
    made.create_sheet("Leer")
    return made


def errors():
    return book(
        ["Zeit", "pH", "CSB"],
        *of_times(lambda i: "#N/A" if i == 3 else 7.5, lambda i: "#DIV/0!" if i in (4, 5) else i),
    )


def texts_with_decimal_commas():
    return book(
        ["Zeit", "Gewicht", "Charge", "Dicke"],
        *of_times("1.234,5", lambda i: f"0{i}", lambda i: 3.125 + i),
    )


def percents():
    made = book(["Zeit", "Feuchte", "Anteil [%]"], *of_times(0.123, 0.07))
    for row in made.active.iter_rows(min_row=2, min_col=2):
        row[0].number_format = "0.0%"
        row[1].number_format = '0.00" "%'
    return made


def percents_beside_decimal_commas():
    made = book(["Zeit", "Feuchte", "Dicke"], *of_times(0.1234, "1,5"))
    for row in made.active.iter_rows(min_row=2, min_col=2, max_col=2):
        row[0].number_format = "0.0%"
    return made


def date_and_time_apart():
    return book(
        ["Datum", "Uhrzeit", "Wert"], *([at.date(), at.time(), i] for i, at in enumerate(TIMES))
    )


def away_from_the_corner():
    made = openpyxl.Workbook()
    for row, cells in enumerate([["Zeit", "Feuchte"], *of_times(0.5)]):
        for column, value in enumerate(cells):
            cell = made.active.cell(5 + row, 4 + column, value)
            cell.number_format = "0%" if value == 0.5 else cell.number_format
    return made


def clocks_that_count_on():
    """Write the hours of each day in sums that pass midnight, shown as clocks."""
    made = book(["Datum", "Uhrzeit", "Wert"])
    for i, at in enumerate(TIMES):
        made.active.append([at.date(), at.hour / 24 + i % 3, i])
        made.active.cell(i + 2, 2).number_format = "hh:mm"
    return made


def long_form():
    rows = [
        [f"P{i}", at, *cells]
        for i, at in enumerate(TIMES)
        for cells in (("pH", 7.5, None), ("CSB", i, "mg/l"))
    ]
    return book(["Probe", "Zeit", "Parameter", "Ergebnis", "Einheit"], *rows)


def footers():
    return book(["Zeit", "A"], *of_times(lambda i: i), ["Mittelwert", 9.5], ["Max", 19])


def export_of_a_lims():
    rows = [
        [f"S-{i}", at, "Linie 3", *cells, "released"]
        for i, at in enumerate(TIMES)
        for cells in (("Fe", "<0,05" if i == 2 else i, "mg/l"), ("Moisture", 4.5, "%"))
    ]
    return book(["Sample ID", "Sampled on", "Line", "Analysis", "Result", "Unit", "Status"], *rows)


def units_below_the_titles():
    return book(
        ["Zeit", "Temperatur", "Läuft"], [None, "°C", None], *of_times(lambda i: 200 + i / 4, True)
    )


SAME = [*range(20)]
KINDS = {
    title_block: ({}, {"Feuchte": [4 + i / 10 for i in SAME], "pH": [7.25] * 20}),
    group_titles: ({}, {
        "Ofen_1_Temperatur": [200] * 20, "Ofen_1_Druck": [1.5] * 20,
        "Ofen_2_Temperatur": [210] * 20, "Ofen_2_Druck": [1 + i / 8 for i in SAME],
    }),
    units_below_the_titles: ({}, {
        "Temperatur": [200 + i / 4 for i in SAME], "Laeuft": [True] * 20,
    }),
    dates_as_text: ({}, {"Wert": SAME}),
    from_1904: ({}, {"t": SAME}),
    several_sheets: ({"sheet": "linie 2"}, {"B": SAME}),
    a_hidden_and_an_empty_sheet: ({}, {"B": SAME}),
    errors: ({}, {
        "pH": [7.5] * 3 + [None] + [7.5] * 16, "CSB": [*range(4), None, None, *range(6, 20)],
    }),
    texts_with_decimal_commas: ({}, {
        "Gewicht": [1234.5] * 20, "Charge": [f"0{i}" for i in SAME],
        "Dicke": [3.125 + i for i in SAME],
    }),
    percents: ({}, {"Feuchte": [12.3] * 20, "Anteil": [7] * 20}),
    percents_beside_decimal_commas: ({}, {"Feuchte": [12.34] * 20, "Dicke": [1.5] * 20}),
    date_and_time_apart: ({}, {"Wert": SAME}),
    away_from_the_corner: ({}, {"Feuchte": [50] * 20}),
    clocks_that_count_on: ({}, {"Wert": SAME}),
    long_form: ({}, {"pH": [7.5] * 20, "CSB": SAME}),
    footers: ({"skip_bad": True}, {"A": SAME}),
    export_of_a_lims: ({}, {"Fe": [0, 1, None, *range(3, 20)], "Moisture": [4.5] * 20}),
}  # fmt: skip


def read(path, *, skip_bad=False, **stated):
    """Return the instants of a file of readings, its values by variable, and its profile."""
    form = FileForm(asset="o", plant_zone="Europe/Berlin", **stated)
    source = open_rows(path, form, "readings", skip_bad=skip_bad)
    profile = source.profile(silent)
    assert profile.bad == 0 or skip_bad, profile.first_bad
    types = {title: column.inferred() for title, column in profile.columns.items()}
    rows = [row for batch in source.read(types, lambda _: None, silent) for row in batch]
    names = [column.name for column in profile.columns.values()]
    return (
        [row.ts for row in rows],
        {n: [row.values.get(n) for row in rows] for n in names},
        profile,
    )


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_a_workbook_of_a_laboratory_is_read_as_it_is_meant(tmp_path, make):
    path = tmp_path / "labor.xlsx"
    make().save(path)
    stated, values = KINDS[make]
    at, found, _ = read(path, **stated)
    assert (at, found) == (AT, values)


def saved(folder, made, name="labor.xlsx"):
    made.save(folder / name)
    return folder / name


def test_a_sheet_is_asked_for_and_never_guessed(tmp_path):
    path = saved(tmp_path, several_sheets())
    with pytest.raises(SheetWanted, match=r"'Linie 1', 'Linie 2'; name .* --sheet$") as asked:
        open_table(path)
    assert asked.value.sheets == ("Linie 1", "Linie 2")
    with pytest.raises(SheetWanted, match=r"has no sheet 'Linie 3'; name .* 'Linie 1', 'Linie 2'"):
        open_table(path, FileForm(sheet="Linie 3"))
    form = find_form(path, FileForm(asset="o", sheet="Linie 1"), units={}).report()
    assert next(describe_form(form)) == "sheet 'Linie 1'"
    assert (form.separator, form.encoding, form.sheet) == (None, None, "Linie 1")
    hidden = saved(tmp_path, a_hidden_and_an_empty_sheet(), "hidden.xlsx")
    assert open_table(hidden).content.sheets == ("Anleitung", "Messwerte", "Leer")
    assert open_table(hidden, FileForm(sheet="Listen", header_line=0)).content.sheet == "Listen"
    cover = saved(tmp_path, book(["only", "words"], ["in", "it"]), "words.xlsx")
    with pytest.raises(UserError, match="no column"):
        find_form(cover, FileForm(asset="o"), units={})


def test_the_next_workbook_of_the_same_sheets_is_of_the_same_form(tmp_path):
    first = hash_form(saved(tmp_path, several_sheets()), "readings")
    later = several_sheets()
    later["Linie 2"]["B9"] = 77
    assert hash_form(saved(tmp_path, later, "later.xlsx"), "readings") == first
    one = hash_form(saved(tmp_path, footers(), "one.xlsx"), "readings")
    plain = tmp_path / "plain.csv"
    plain.write_text("Zeit,A\n2026-03-02 06:00,1\n")
    assert one not in (first, hash_form(plain, "readings"))


def test_errors_are_counted_and_lines_are_rows_of_the_sheet(tmp_path):
    _, _, profile = read(saved(tmp_path, errors()))
    assert [c.marks for c in profile.columns.values()] == [{"#N/A": 1}, {"#DIV/0!": 2}]
    path = saved(tmp_path, title_block())
    assert first_lines(path, FileForm(), 6)[4:] == [
        "Zeitstempel\tFeuchte [%]\tpH",
        "2026-03-02 06:00:00\t4\t7.25",
    ]
    source = open_rows(saved(tmp_path, footers(), "f.xlsx"), FileForm(asset="o"), "readings")
    assert [bad.line for bad in source.profile(silent).first_bad] == [22, 23]


def test_cells_keep_their_value(tmp_path):
    numbers = [0.1, 1e-7, 1.5e22, -0.0, 123456789012345, 2.5]
    made = book(
        ["at", "n", "on", "text", "lasts"],
        *([FIRST + timedelta(seconds=i, milliseconds=250), n, i > 2, 'a"b\tc\nd;e', time(0, i)]
          for i, n in enumerate(numbers)),
        [date(2026, 3, 3), 1, True, "=SUM(A1)", timedelta(hours=26)],
    )  # fmt: skip
    made.active["D8"].data_type = "s"
    path = saved(tmp_path, made)
    at, found, _ = read(path, time="at", only=("n", "on", "text"))
    assert at[0] == datetime(2026, 3, 2, 5, 0, 0, 250_000, UTC)
    assert at[-1] == datetime(2026, 3, 2, 23, tzinfo=UTC)
    assert found["n"] == [*numbers, 1]
    assert found["on"] == [False] * 3 + [True] * 4
    assert found["text"] == ['a"b c d;e'] * 6 + ["=SUM(A1)"]
    assert first_lines(path, FileForm(), 9)[7].endswith("\t26:00:00")


def test_a_stated_decimal_mark_concerns_texts_alone(tmp_path):
    made = book(["Zeit", "a", "b"], *of_times("1,234", 2.5))
    _, found, _ = read(saved(tmp_path, made), decimal=",")
    assert found == {"a": [1.234] * 20, "b": [2.5] * 20}


NAMES = "urn:oasis:names:tc:opendocument:xmlns"
ODS = (
    f'<office:document-content xmlns:office="{NAMES}:office:1.0" xmlns:table="{NAMES}:table:1.0" '
    f'xmlns:text="{NAMES}:text:1.0" office:version="1.3"><office:body><office:spreadsheet>'
    '<table:table table:name="Werte"><table:table-row><table:table-cell '
    'office:value-type="string"><text:p>Zeit</text:p></table:table-cell><table:table-cell '
    'office:value-type="string"><text:p>Temp [°C]</text:p></table:table-cell></table:table-row>'
    "{rows}</table:table></office:spreadsheet></office:body></office:document-content>"
)
ODS_ROW = (
    '<table:table-row><table:table-cell office:value-type="date" office:date-value="{at}">'
    "<text:p>02.03.26 06:00</text:p></table:table-cell><table:table-cell "
    'office:value-type="float" office:value="{n}"><text:p>20,5</text:p></table:table-cell>'
    "</table:table-row>"
)


def open_document():
    rows = "".join(ODS_ROW.format(at=at.isoformat(), n=20.5 + i) for i, at in enumerate(TIMES))
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
        "</manifest:manifest>"
    )
    content = ODS.format(rows=rows)
    return {"mimetype": kind, "content.xml": content, "META-INF/manifest.xml": manifest}


def pack(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["werte.ods", "werte.xlsx", "file"])
def test_an_open_document_is_read_by_its_content(tmp_path, name):
    at, found, _ = read(pack(tmp_path / name, open_document()))
    assert (at, found) == (AT, {"Temp": [20.5 + i for i in SAME]})


def test_percents_that_cannot_be_told_apart_are_refused(tmp_path):
    files = open_document()
    files["content.xml"] = files["content.xml"].replace('"float"', '"percentage"', 1)
    with pytest.raises(UserError, match=r"as percent, .* save it as \.xlsx"):
        open_table(pack(tmp_path / "werte.ods", files))


PLAIN = b"ts,t\n2026-03-02T06:00:00Z,1.5\n"


def contents(folder):
    table = pa.table({"ts": [datetime(2026, 3, 2, 6, tzinfo=UTC)], "t": [1.5]})
    parquet.write_table(table, folder / "inside")
    workbook = saved(folder, book(["ts", "t"], [FIRST + timedelta(hours=1), 1.5]))
    return {
        "line.csv": PLAIN,
        "line.parquet": (folder / "inside").read_bytes(),
        "line.xlsx": workbook.read_bytes(),
        "line.csv.gz": gzip.compress(PLAIN),
    }


@pytest.mark.parametrize("kind", ["line.csv", "line.parquet", "line.xlsx", "line.csv.gz"])
def test_the_one_table_of_an_archive_is_read(tmp_path, kind):
    inside = {"readme.md": b"# what it is", f"data/{kind}": contents(tmp_path)[kind]}
    inside = {f"./{name}": content for name, content in inside.items()}
    path = pack(tmp_path / "export.zip", inside | {"__MACOSX/._line.csv": b"x"})
    at, found, _ = read(path)
    assert (at, found) == ([datetime(2026, 3, 2, 6, tzinfo=UTC)], {"t": [1.5]})


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"a.csv": PLAIN, "b/c.xlsx": b"x"}, r"several files: a\.csv, b/c\.xlsx; .* one table"),
        ({}, "no file"),
        ({"a.txt": b""}, "the file is empty"),
        ({"a.csv": b"BZh9"}, r"export\.zip is packed with bzip2"),
        ({"a.parquet": b"PAR1PAR1"}, r"export\.zip: the Parquet file cannot be read"),
        ({"a.csv": b"ts,ts\n1,2\n"}, r"export\.zip: the header names 'ts' more than once"),
    ],
)
def test_an_archive_without_one_table_is_refused(tmp_path, files, why):
    with pytest.raises(UserError, match=why):
        open_table(pack(tmp_path / "export.zip", files))
