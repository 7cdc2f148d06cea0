"""Files as plants write them, through the use case: what was understood, what arrives, what is
refused."""

import bz2
import gzip
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerting.adapters.files.assets import read_assets
from alerting.adapters.files.events import EventColumns, EventsFile
from alerting.adapters.files.rows import Layout
from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError
from alerting.usecases.ingestion.tables import check_events
from tests.helpers.import_folder import NOW, Folder

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


# Names


def test_titles_of_any_length_give_names_that_are_legal_and_differ(folder):
    same = "Werk 3 / Linie 2 / Ofen 1 / " + "Zone " * 40
    titles = [f"{same}{i}" for i in range(3)] + ["温度", "压力"]
    folder.readings(f"ts;{';'.join(titles)}\n2026-01-05 00:00;1;2;3;4;5\n")
    variables = folder.plant.assets.get("a").variables
    assert len(variables) == 5
    assert all(len(name) <= 100 for name in variables)
    assert sorted(next(iter(folder.plant.readings.values.values())).values()) == [1, 2, 3, 4, 5]
    assert Asset.model_validate(
        folder.plant.assets.get("a").model_dump()
    ) == folder.plant.assets.get("a")
    assert {v.title for v in variables.values()} >= {"温度", "压力"}
    again = folder.readings(f"ts;{';'.join(titles)}\n2026-01-05 00:00;1;2;3;4;5\n")
    assert (again.new, len(folder.plant.assets.get("a").variables)) == (0, 5)


@pytest.mark.parametrize("asset", ["x" * 101, "12:30"])
def test_an_asset_that_is_no_name_and_gives_none_is_refused_before_anything_is_written(
    folder, asset
):
    folder.expect_refusal("ts,x\n2026-01-05,1\n", "--asset: '", "is not a name of", asset=asset)
    assert folder.plant.untouched()


# Stamps

INSTANT = datetime(2026, 3, 14, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "stamp",
    [
        "14.03.2026 06:30:00",
        "14.03.2026 06:30",
        "14.3.2026 6:30",
        "14.03.26 06:30:00",
        "14.03.2026 06:30:00,000",
        "14.03.2026 07:30:00 +01:00",
        "14.03.2026 07:30 MEZ",
        "14/03/2026 06:30:00",
        "03/14/2026 6:30:00 AM",
        "2026/03/14 06:30:00",
        "14-Mar-2026 06:30:00",
        "20260314 063000",
        "20260314063000",
        "202603140630",
        "2026-03-14T06:30:00Z",
        "1773469800",
        "1773469800000",
    ],
)
def test_stamps_are_recognised_under_any_title_that_speaks_of_time(folder, stamp):
    folder.readings(f"Zeitstempel;Wert\n{stamp};1,5\n")
    assert folder.column("Wert") == {INSTANT: 1.5}


def test_the_column_of_stamps_is_found_wherever_it_stands_and_named(folder):
    told = folder.understood(
        "Charge;Wert;Gemessen am\nA7;1,5;14.03.2026 06:30\nA8;2;14.03.2026 06:31\n"
    )
    assert (told.form.time_columns, told.form.time_format, told.form.decimal) == (
        ("Gemessen am",),
        "dd.mm.yyyy",
        ",",
    )


def test_date_and_time_in_columns_of_their_own_are_joined(folder):
    told = folder.readings("Datum;Uhrzeit;Wert\n14.03.2026;06:30:00;1\n14.03.2026;06:31:00;2\n")
    assert told.understood.form.time_columns == ("Datum", "Uhrzeit")
    assert folder.column("Wert") == {INSTANT: 1, INSTANT + timedelta(minutes=1): 2}


@pytest.mark.parametrize(("later", "day_first"), [("25/04/2026", True), ("04/25/2026", False)])
def test_day_and_month_are_told_apart_by_the_whole_file(folder, later, day_first):
    folder.readings(f"ts,x\n03/04/2026 06:00,1\n{later} 06:00,2\n")
    assert datetime(
        2026, 4 if day_first else 3, 3 if day_first else 4, 6, tzinfo=UTC
    ) in folder.column("x")


def test_day_and_month_that_nothing_tells_apart_are_refused_until_the_format_is_named(folder):
    content = "ts,x\n03/04/2026 06:00,1\n05/04/2026 06:00,2\n"
    folder.expect_refusal(content, "--time-format dd/mm/yyyy or --time-format mm/dd/yyyy")
    folder.readings(content, time_format="mm/dd/yyyy")
    assert min(folder.column("x")) == datetime(2026, 3, 4, 6, tzinfo=UTC)


@pytest.mark.parametrize("named", ["%d.%m.%Y %H.%M", "dd.mm.yyyy"])
def test_a_format_can_be_named(folder, named):
    folder.readings("ts;x\n14.03.2026 06.30;1\n", time_format=named)
    assert folder.column("x") == {INSTANT: 1}


@pytest.mark.parametrize("named", ["%Q", "%H:%M", "ymd", "%d.%d.%Y", "\udcff"])
def test_a_format_that_cannot_be_is_refused(folder, named):
    folder.expect_refusal("ts;x\n14.03.2026 06:30;1\n", "--time-format", time_format=named)


@pytest.mark.parametrize(
    "bad", ["31.02.2026 06:00", "14.13.2026 06:00", "14.03.2026 25:00", "morgen"]
)
def test_a_stamp_that_is_none_is_named_with_its_line(folder, bad):
    folder.expect_refusal(
        f"ts;x\n14.03.2026 06:00;1\n14.03.2026 06:01;1\n{bad};2\n", "line 4, column ts", repr(bad)
    )


# Summer time


def autumn(step, zone=BERLIN, hours=6, newest_first=False, assets=("a",)):
    """Local stamps around the end of summer time 2025, their real instants as values."""
    start = datetime(2025, 10, 25, 22, tzinfo=UTC)
    rows = []
    for i in range(int(timedelta(hours=hours) / step)):
        instant = start + i * step
        rows += [
            (f"{instant.astimezone(zone):%d.%m.%Y %H:%M:%S};{asset};{int(instant.timestamp())}")
            for asset in assets
        ]
    return "Zeit;asset;t\n" + "\n".join(reversed(rows) if newest_first else rows) + "\n"


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("minutes", [1, 7, 30, 60])
@pytest.mark.parametrize("assets", [("a",), ("a", "b", "c")])
def test_the_hour_that_comes_twice_is_resolved_by_the_order_of_the_lines(
    folder, minutes, newest_first, assets
):
    content = autumn(timedelta(minutes=minutes), newest_first=newest_first, assets=assets)
    result = folder.readings(content, asset=None, plant_zone="Europe/Berlin")
    assert len(folder.plant.readings.values) == result.rows == content.count("\n") - 1
    assert all(v["t"] == ts.timestamp() for (_, ts), v in folder.plant.readings.values.items())
    assert any(
        "2025-10-26 the clocks of Europe/Berlin are set back" in note for note in result.notes
    )


def test_the_hour_that_comes_twice_is_resolved_across_chunks(folder, monkeypatch):
    monkeypatch.setattr("alerting.adapters.files.tables.text.BLOCK_BYTES", 300)
    folder.readings(autumn(timedelta(minutes=1)), asset=None, zone="Europe/Berlin")
    assert all(v["t"] == ts.timestamp() for (_, ts), v in folder.plant.readings.values.items())


def test_lines_in_no_order_in_that_hour_are_refused(folder):
    head, *lines = autumn(timedelta(minutes=10)).splitlines()
    mixed = "\n".join([head, *lines[::2], *lines[1::2]])
    folder.expect_refusal(mixed, "comes twice in Europe/Berlin", asset=None, zone="Europe/Berlin")


def test_without_a_configured_zone_the_hour_that_comes_twice_tells_the_zone_and_it_is_said(folder):
    result = folder.readings(autumn(timedelta(minutes=5)), asset=None)
    assert all(v["t"] == ts.timestamp() for (_, ts), v in folder.plant.readings.values.items())
    assert result.understood.form.zone == "Europe/Berlin"
    assert any("set ALERTING_TIMEZONE" in note for note in result.notes)


def test_two_lines_of_each_hour_are_no_change_of_the_clock(folder):
    lines = [
        f"26.10.2025 {hour:02}:00;{cells}"
        for hour in range(6)
        for cells in (f"{hour};", f";{hour}")
    ]
    content = "\n".join(["ts;x;y", *lines])
    assert folder.readings(content).understood.form.zone == "UTC"
    folder.readings(content, asset="b", zone="Europe/Berlin")
    assert len(folder.plant.readings.values) == 12


def test_a_local_time_that_was_skipped_is_named(folder):
    content = "ts;x\n29.03.2026 01:59;1\n29.03.2026 02:30;1\n29.03.2026 03:00;2\n"
    folder.expect_refusal(
        content,
        "line 3, column ts",
        "does not exist in Europe/Berlin",
        "--tz Etc/GMT-1",
        zone="Europe/Berlin",
    )


def test_the_end_of_an_event_in_the_second_time_of_that_hour_is_not_before_its_start(folder):
    content = (
        "Beginn;type;end\n26.10.2025 02:10;stop;26.10.2025 02:20\n26.10.2025 02:50;stop;26.10.2025 "
        "02:05\n"
    )
    source = EventsFile(
        folder.file(content), Layout(asset="a", time="Beginn", zone="Europe/Berlin"), EventColumns()
    )
    check_events(source, folder.plant).write(now=NOW, actor="me")
    ends = sorted(e.end - e.start for e in folder.plant.readings.events.values())
    assert ends == [timedelta(minutes=10), timedelta(minutes=15)]


# Cells


@pytest.mark.parametrize(
    "mark", ["#NV", "#N/A", "---", "-", "n/a", "Bad", "bad input", "No Data", "k.A.", "kaputt"]
)
def test_a_cell_that_is_no_value_is_missing_counted_and_named_and_its_line_stays(folder, mark):
    rows = "".join(f"14.03.2026 06:{i:02};{i},5;1\n" for i in range(10))
    result = folder.readings(f"Zeit;Temp;Druck\n{rows}14.03.2026 06:30;{mark};7\n")
    (temp,) = [c for c in result.understood.columns if c.name == "Temp"]
    assert (temp.type, temp.values, temp.bad, temp.bad_cells) == ("number", 10, 1, {mark: 1})
    assert folder.column("Druck")[INSTANT] == 7
    assert INSTANT not in folder.column("Temp")


def test_a_column_of_which_most_cells_are_marks_is_still_a_number(folder):
    result = folder.readings(
        "ts;x;y\n"
        + "2026-01-05 00:00;1,5;a\n"
        + "".join(f"2026-01-05 00:0{i};Bad;b\n" for i in range(1, 9))
    )
    assert result.variables == {"x": "number", "y": "category"}


def test_bad_and_good_in_a_column_of_text_are_text(folder):
    folder.readings("ts;state\n2026-01-05 00:00;Good\n2026-01-05 00:01;Bad\n")
    assert list(folder.column("state").values()) == ["Good", "Bad"]


def test_a_column_that_is_perhaps_no_number_is_refused_with_what_to_do(folder):
    codes = "".join(f"2026-01-05 00:{i:02},{'' if i % 3 else 'A'}{4000 + i}\n" for i in range(30))
    folder.expect_refusal(
        f"ts,batch\n{codes}", "column 'batch' is taken for a number", "declare it as a category"
    )


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1,5", "2"], [1.5, 2]),
        (["1.234,5", "2.000", "3"], [1234.5, 2000, 3]),
        (["1'234.5", "2"], [1234.5, 2]),
        (["1 234,5", "2,25"], [1234.5, 2.25]),
        (["1,234.5", "2.5"], [1234.5, 2.5]),
        (["1.5", "2"], [1.5, 2]),
        (["1.234", "2.5"], [1.234, 2.5]),
        (["1,234", "2,567"], [1.234, 2.567]),
    ],
)
def test_decimal_marks_and_thousands_are_recognised(folder, cells, expected):
    folder.readings("ts;x\n" + "".join(f"2026-01-0{i};{c}\n" for i, c in enumerate(cells, 1)))
    assert list(folder.column("x").values()) == expected


def test_a_decimal_comma_that_first_shows_far_down_in_the_file_is_seen(folder, monkeypatch):
    monkeypatch.setattr("alerting.adapters.files.tables.text.BLOCK_BYTES", 200)
    rows = "".join(f"{1_767_571_200 + i};{i}\n" for i in range(200))
    folder.readings(f"ts;x\n{rows}1767580000;7,5\n")
    assert list(folder.column("x").values())[-1] == 7.5


@pytest.mark.parametrize(
    ("title", "name", "kept", "unit"),
    [
        ("Temperatur [°C]", "Temperatur", None, "°C"),
        ("Temperatur (°C)", "Temperatur", None, "°C"),
        ("Durchfluss [m³/h]", "Durchfluss", None, "m³/h"),
        ("Größe Öl [µm]", "Groesse_Oel", "Größe Öl", "µm"),
        ("Feuchte (%)", "Feuchte", None, "%"),
        ("Speed (line 2)", "Speed_line_2", "Speed (line 2)", None),
        ("Zone [2]", "Zone_2", "Zone [2]", None),
    ],
)
def test_units_are_taken_from_titles(folder, title, name, kept, unit):
    folder.readings(f"ts;{title};y\n2026-01-05;1;2\n")
    variable = folder.plant.assets.get("a").variables[name]
    assert (variable.title, variable.unit) == (kept, unit)


def test_a_laboratory_value_an_hour_is_kept_and_its_delay_is_suggested(folder):
    rows = "".join(
        f"2026-01-05 {i // 60:02}:{i % 60:02};{i};{i / 7 if i % 60 == 5 else ''}\n"
        for i in range(600)
    )
    result = folder.readings(f"ts;x;moisture\n{rows}")
    assert len(folder.column("moisture")) == 10
    assert [c.every_s for c in result.understood.columns] == [None, 3600]
    assert any(
        "'moisture' has a value about every 1h" in n and "delay: 1h" in n for n in result.notes
    )


def test_nothing_is_written_by_a_check(folder):
    told = folder.understood("Zeit;x [bar]\n14.03.2026 06:30;1,5\n", encoding=None)
    assert (told.form.separator, told.form.decimal, told.form.encoding) == (";", ",", "utf-8")
    assert (told.new_assets, told.columns[0].unit, told.first) == (("a",), "bar", INSTANT)
    assert folder.plant.untouched()


# Files


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-32"])
def test_encodings_are_found_from_the_bytes(folder, encoding):
    folder.readings("Zeit;Größe [µm];Öl\n14.03.2026 06:30;1,5;süß\n".encode(encoding))
    assert {n: v.title for n, v in folder.plant.assets.get("a").variables.items()} == {
        "Groesse": "Größe",
        "Oel": "Öl",
    }
    assert next(iter(folder.plant.readings.values.values()))["Oel"] == "süß"


def test_windows_text_that_first_shows_far_down_is_read(folder, monkeypatch):
    monkeypatch.setattr("alerting.adapters.files.tables.text.BLOCK_BYTES", 200)
    rows = "".join(f"{1_767_571_200 + i};plain\n" for i in range(100))
    folder.readings(f"ts;x\n{rows}1767580000;süß\n".encode("cp1252"))
    assert list(folder.column("x").values())[-1] == "süß"


@pytest.mark.parametrize(
    "name",
    [
        "rot13",
        "zlib_codec",
        "base64",
        "hex",
        "bz2",
        "uu",
        "quopri",
        "idna",
        "punycode",
        "undefined",
        "unicode_escape",
        "x\0",
    ],
)
def test_what_is_no_encoding_of_text_is_refused(folder, name):
    folder.expect_refusal("ts,x\n2026-01-05,1\n", "encoding", "utf-8, cp1252", encoding=name)


def test_lines_that_end_with_a_carriage_return_alone_are_read(folder):
    folder.readings("ts;x\r14.03.2026 06:30;1,5\r14.03.2026 06:31;2,5\r")
    assert list(folder.column("x").values()) == [1.5, 2.5]


def test_the_first_line_of_a_spreadsheet_that_names_the_separator_is_understood(folder):
    folder.readings("sep=;\r\nts;x\r\n14.03.2026 06:30;1,5\r\n")
    assert folder.column("x") == {INSTANT: 1.5}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ts,x\n2026-01-05,\xed\xa0\x80\n", "line 2 is not written in utf-8"),
        (
            "ts,Größe\n2026-01-05,1\n".encode() + b"2026-01-06,\xff\n",
            "line 3 is not written in utf-8",
        ),
        (b"ts," + b"x" * (20 << 20) + b"\n2026-01-05,1\n", "line 1 is longer than"),
        (b"ts," + b'"' + b"x" * (200 << 10) + b'"\n2026-01-05,1\n', "line 1 cannot be split"),
        (b",".join(b"c%d" % i for i in range(100_000)) + b"\n1\n", "names 100,000 columns"),
        (b"ts," * 100_000 + b"\n1\n", "columns"),
        (b"ts,x\n", "no lines"),
        (b"ts,x,x\n1,2,3\n", "more than once"),
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf", "first line is empty"),
        (b"\xff\xfe", "first line is empty"),
        (b"\xff\xfex", "not written in utf-16"),
        (b"\x1f\x8b" + b"rubbish" * 20, "cannot be read"),
        (gzip.compress(b"ts,x\n2026-01-05,1\n" * 1000)[:60] + b"\x55" * 60, "cannot be read"),
        (b"PAR1" + b"rubbish" * 100 + b"PAR1", "Parquet file cannot be read"),
        (b"PAR1", "Parquet file cannot be read"),
        (b"\0" * 5000, "no column of time stamps"),
    ],
)
def test_rubbish_is_refused_with_a_sentence(folder, content, message):
    started = time.process_time()
    assert len(folder.expect_refusal(content, message)) < 3000
    assert time.process_time() - started < 5


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_one_endless_line_in_a_small_archive_is_refused_within_seconds(folder, pack):
    started = time.process_time()
    folder.expect_refusal(
        pack(b"ts,x\n2026-01-05," + b"1" * (60 << 20), 1), "line 2 is longer than 4 MiB"
    )
    assert time.process_time() - started < 8


def test_a_quotation_mark_that_never_closes_is_refused_soon_and_its_line_named(folder, monkeypatch):
    monkeypatch.setattr("alerting.adapters.files.tables.text.BLOCK_BYTES", 20_000)
    monkeypatch.setattr("alerting.adapters.files.tables.text.LONGEST_RECORD", 40_000)
    rows = "".join(f"{1_767_571_200 + i},{i}.5\n" for i in range(20_000))
    content = f'ts,x\n1767500000,"7\n{rows}'
    folder.expect_refusal(
        content, "line 2: a quotation mark is opened and not closed", "were not read"
    )


def test_a_bad_line_in_a_large_file_is_refused_before_all_of_it_is_read(folder, monkeypatch):
    monkeypatch.setattr("alerting.adapters.files.tables.text.BLOCK_BYTES", 2_000)
    rows = "".join(f"{1_767_571_200 + i},{i}\n" for i in range(10_000))
    told = folder.expect_refusal(f"ts,x\nnever,1\n{rows}", "line 2, column ts", "were not read")
    assert "\n  - the lines behind line" in told


@pytest.mark.parametrize(
    ("wanted", "near"),
    [("zeitstempl", "Zeitstempel"), ("time", "Zeitstempel"), ("Timestamp", "Zeitstempel")],
)
def test_a_column_of_stamps_that_is_not_there_brings_the_one_that_holds_them(folder, wanted, near):
    folder.expect_refusal(
        "T1;T2;Zeitstempel\n1;2;14.03.2026 06:30\n", f"did you mean {near}?", time=wanted
    )


@pytest.mark.parametrize(
    ("wanted", "near"),
    [("temp_zone_1", "Temp. Zone 1"), ("zone", "Temp. Zone 1"), ("druk", "Druck")],
)
def test_a_column_that_is_not_there_brings_the_one_that_is_meant(folder, wanted, near):
    folder.expect_refusal(
        "ts;Temp. Zone 1;Druck;T9\n2026-01-05;1;2;3\n", f"did you mean {near}?", only=(wanted,)
    )


@pytest.mark.parametrize(
    "content",
    [
        "[" * 3000,
        "a: " + "9" * 100_000,
        'a: {title: "\\ud800"}',
        "a: {title: !!python/object:os.system x}",
        "a: &a [*a]",
        "? [1, 2]\n: 3",
        "a: 2026-13-45",
    ],
)
def test_rubbish_instead_of_asset_documents_is_refused(folder, content):
    from alerting.usecases.ingestion.assets import import_assets

    with pytest.raises(UserError):
        import_assets(
            "f",
            read_assets(folder.file(content, "f.yaml"), Layout()),
            folder.plant,
            now=NOW,
            actor="me",
        )


def test_a_table_of_assets_is_understood_like_any_other(folder):
    path = folder.file("asset;Höhe [m];Hersteller\no-1;2,5;Müller\no-2;#NV;-\n".encode("cp1252"))
    assert [g.document["attributes"] for g in read_assets(path, Layout())] == [
        {"H_he_m": 2.5, "Hersteller": "Müller"},
        {},
    ]
