"""Files as plants write them, through the use case: what was understood, what arrives, what is
refused."""

import gzip
import time
from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from alerting.adapters.files.assets import read_assets
from alerting.definitions.asset_documents import Asset
from alerting.definitions.file_form import FileForm
from tests.helpers.tables import Importer

BERLIN = ZoneInfo("Europe/Berlin")
TEXT = "alerting.adapters.files.chunks"
INSTANT = datetime(2026, 3, 14, 6, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def folder(tmp_path):
    return Importer(tmp_path, asset="a")


def days(*values):
    """Return values of one variable, a day apart."""
    return {datetime(2026, 1, 1 + day, tzinfo=UTC): {"x": x} for day, x in enumerate(values)}


def of_days(*cells):
    return "ts;x\n" + "".join(f"2026-01-0{day};{cell}\n" for day, cell in enumerate(cells, 1))


STAMPS = [
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
]
WRITTEN = "Zeit;Größe [µm];Öl\n14.03.2026 06:30;1,5;süß\n"
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-32"]
ARCTIC = {INSTANT: {"Groesse": 1.5, "Oel": "süß"}}
LATER = {datetime(2026, 4, 25, 6, tzinfo=UTC): {"x": 2.0}}
FIRST = "ts,x\n03/04/2026 06:00,1\n"
READ = [
    *((f"Zeitstempel;Wert\n{stamp};1,5\n", {}, {INSTANT: {"Wert": 1.5}}) for stamp in STAMPS),
    *(
        ("ts;x\n14.03.2026 06.30;1\n", {"time_format": named}, {INSTANT: {"x": 1.0}})
        for named in ("%d.%m.%Y %H.%M", "dd.mm.yyyy")
    ),
    (f"{FIRST}25/04/2026 06:00,2\n", {}, {datetime(2026, 4, 3, 6, tzinfo=UTC): {"x": 1.0}} | LATER),
    (f"{FIRST}04/25/2026 06:00,2\n", {}, {datetime(2026, 3, 4, 6, tzinfo=UTC): {"x": 1.0}} | LATER),
    (FIRST, {"time_format": "mm/dd/yyyy"}, {datetime(2026, 3, 4, 6, tzinfo=UTC): {"x": 1.0}}),
    (
        "Datum;Uhrzeit;x\n14.03.2026;06:30:00;1\n14.03.2026;06:31:00;2\n",
        {},
        {INSTANT: {"x": 1.0}, INSTANT + MINUTE: {"x": 2.0}},
    ),
    *((WRITTEN.encode(encoding), {}, ARCTIC) for encoding in ENCODINGS),
    (WRITTEN.encode("cp1252"), {"encoding": "cp1252"}, ARCTIC),
    (
        "ts;x\r14.03.2026 06:30;1,5\r14.03.2026 06:31;2,5\r",
        {},
        {INSTANT: {"x": 1.5}, INSTANT + MINUTE: {"x": 2.5}},
    ),
    ("sep=;\r\nts;x\r\n14.03.2026 06:30;1,5\r\n", {}, {INSTANT: {"x": 1.5}}),
    (of_days("Good", "Bad"), {}, days("Good", "Bad")),
    (of_days("1,5", "2"), {}, days(1.5, 2)),
    (of_days("1.234,5", "2.000", "3"), {}, days(1234.5, 2000, 3)),
    (of_days("1'234.5", "2"), {}, days(1234.5, 2)),
    (of_days("1 234,5", "2,25"), {}, days(1234.5, 2.25)),
    (of_days("1,234.5", "2.5"), {}, days(1234.5, 2.5)),
    (of_days("1.5", "2"), {}, days(1.5, 2)),
    (of_days("1.234", "2.5"), {}, days(1.234, 2.5)),
    (of_days("1,234", "2,567"), {}, days(1.234, 2.567)),
]


def test_stamps_numbers_and_encodings_are_recognised_in_whatever_way_they_are_written(folder):
    found = [(content, how, folder.alone(content, **how).rows) for content, how, _ in READ]
    assert found == READ


def test_what_first_shows_far_down_in_the_file_is_seen(folder, monkeypatch):
    monkeypatch.setattr(f"{TEXT}.BLOCK_BYTES", 200)
    rows = "".join(f"{1_767_571_200 + i};{i}\n" for i in range(200))
    texts = "".join(f"{1_767_571_200 + i};plain\n" for i in range(100))
    windows = f"ts;x\n{texts}1767580000;süß\n".encode("cp1252")
    read = [folder.alone(content).rows for content in (f"ts;x\n{rows}1767580000;7,5\n", windows)]
    assert [[*one.values()][-1]["x"] for one in read] == [7.5, "süß"]


def test_a_check_says_what_was_understood_and_writes_nothing(folder):
    told = folder.check("Zeit;x [bar]\n14.03.2026 06:30;1,5\n", encoding=None).understood
    assert (told.form.separator, told.form.decimal, told.form.encoding) == (";", ",", "utf-8")
    assert (told.new_assets, told.columns[0].unit, told.first) == (("a",), "bar", INSTANT)
    content = "Charge;Wert;Gemessen am\nA7;1,5;14.03.2026 06:30\nA8;2;14.03.2026 06:31\n"
    plan = folder.check(content).understood.form
    found = (plan.time, plan.time_format, plan.decimal)
    assert found == ("Gemessen am", "dd.mm.yyyy", ",")
    assert folder.plant.untouched()


def autumn(minutes, newest_first=False, assets=("a",)):
    """Six hours of local stamps around the end of summer time 2025, their real instants as
    values."""
    start = datetime(2025, 10, 25, 22, tzinfo=UTC)
    rows = [
        f"{instant.astimezone(BERLIN):%d.%m.%Y %H:%M:%S};{asset};{int(instant.timestamp())}"
        for instant in (start + i * MINUTE for i in range(0, 360, minutes))
        for asset in assets
    ]
    return "Zeit;asset;t\n" + "\n".join(reversed(rows) if newest_first else rows) + "\n"


def stored_at_their_instants(plant):
    return sum(v["t"] == ts.timestamp() for (_, ts), v in plant.readings.values.items())


def test_the_hour_that_comes_twice_is_resolved_by_the_order_of_the_lines(folder, monkeypatch):
    found = {}
    cases = [*product((1, 7, 30, 60), (False, True), (("a",), ("a", "b", "c")))]
    for case in cases:
        made = folder.alone(autumn(*case), asset=None, plant_zone="Europe/Berlin")
        told = "2025-10-26 the clocks of Europe/Berlin are set back" in f"{made.outcome.notes}"
        found[case] = (stored_at_their_instants(made.plant), made.outcome.rows, told)
    rows = {case: len(range(0, 360, case[0])) * len(case[2]) for case in cases}
    assert found == {case: (count, count, True) for case, count in rows.items()}
    unsaid = folder.alone(autumn(5), asset=None)
    zone = unsaid.outcome.understood.form.zone
    assert (stored_at_their_instants(unsaid.plant), zone) == (72, "Europe/Berlin")
    assert "set ALERTING_TIMEZONE" in f"{unsaid.outcome.notes}"
    monkeypatch.setattr(f"{TEXT}.BLOCK_BYTES", 300)
    chunks = folder.alone(autumn(1), asset=None, zone="Europe/Berlin")
    assert stored_at_their_instants(chunks.plant) == 360


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


def test_the_end_of_an_event_in_the_second_time_of_that_hour_is_not_before_its_start(folder):
    lines = ("26.10.2025 02:10;stop;26.10.2025 02:20", "26.10.2025 02:50;stop;26.10.2025 02:05")
    content = "\n".join(["Beginn;type;end", *lines, ""])
    folder.events(content, time="Beginn", zone="Europe/Berlin")
    ends = sorted(e.end - e.start for e in folder.plant.readings.events.values())
    assert ends == [timedelta(minutes=10), timedelta(minutes=15)]


MARKS = ["#NV", "#N/A", "---", "-", "n/a", "Bad", "bad input", "No Data", "k.A.", "kaputt"]


def test_a_cell_that_is_no_value_is_missing_counted_and_named_and_its_line_stays(folder):
    found = {}
    rows = "".join(f"14.03.2026 06:{i:02};{i},5;1\n" for i in range(10))
    for mark in MARKS:
        made = folder.alone(f"Zeit;Temp;Druck\n{rows}14.03.2026 06:30;{mark};7\n")
        (temp, _) = made.outcome.understood.columns
        found[mark] = (temp.type, temp.values, temp.bad, temp.bad_cells, made.rows[INSTANT])
    assert found == {mark: ("number", 10, 1, {mark: 1}, {"Druck": 7}) for mark in MARKS}
    most = "".join(f"2026-01-05 00:0{i};Bad;b\n" for i in range(1, 9))
    result = folder.readings(f"ts;x;y\n2026-01-05 00:00;1,5;a\n{most}")
    assert result.variables == {"x": "number", "y": "category"}


UNITS = {
    "Temperatur [°C]": {"Temperatur": (None, "°C")},
    "Temperatur (°C)": {"Temperatur": (None, "°C")},
    "Durchfluss [m³/h]": {"Durchfluss": (None, "m³/h")},
    "Größe Öl [µm]": {"Groesse_Oel": ("Größe Öl", "µm")},
    "Feuchte (%)": {"Feuchte": (None, "%")},
    "Speed (line 2)": {"Speed_line_2": ("Speed (line 2)", None)},
    "Zone [2]": {"Zone_2": ("Zone [2]", None)},
}


def test_titles_of_any_length_give_legal_names_that_differ_and_units(folder):
    found = {t: folder.alone(f"ts;{t};y\n2026-01-05;1;\n").variables() for t in UNITS}
    assert found == UNITS
    same = "Werk 3 / Linie 2 / Ofen 1 / " + "Zone " * 40
    titles = [f"{same}{i}" for i in range(3)] + ["温度", "压力"]
    content = f"ts;{';'.join(titles)}\n2026-01-05 00:00;1;2;3;4;5\n"
    folder.readings(content)
    asset = folder.plant.assets.get("a")
    assert all(len(name) <= 100 for name in asset.variables)
    assert sorted(next(iter(folder.rows.values())).values()) == [1, 2, 3, 4, 5]
    assert Asset.model_validate(asset.model_dump()) == asset
    assert {v.title for v in asset.variables.values()} >= {"温度", "压力"}
    assert (folder.readings(content).new, len(folder.variables())) == (0, 5)


def test_a_laboratory_value_an_hour_is_kept_and_its_delay_is_suggested(folder):
    rows = "".join(
        f"2026-01-05 {i // 60:02}:{i % 60:02};{i};{i / 7 if i % 60 == 5 else ''}\n"
        for i in range(600)
    )
    result = folder.readings(f"ts;x;moisture\n{rows}")
    assert sum("moisture" in row for row in folder.rows.values()) == 10
    assert [c.every_s for c in result.understood.columns] == [None, 3600]
    assert any(
        "'moisture' has a value about every 1h" in n and "delay: 1h" in n for n in result.notes
    )


PLAIN = "ts,x\n2026-01-05,1\n"
CODES = "".join(f"2026-01-05 00:{i:02},{'' if i % 3 else 'A'}{4000 + i}\n" for i in range(30))
IN_BERLIN = {"zone": "Europe/Berlin"}
NO_ORDER = [autumn(10).splitlines()[at] for at in (0, *range(1, 37, 2), *range(2, 37, 2))]
STAMPED_LAST = "T1;T2;Zeitstempel\n1;2;14.03.2026 06:30\n"
ZONES = "ts;Temp. Zone 1;Druck;T9\n2026-01-05;1;2;3\n"
NEAR = {"temp_zone_1": "Temp. Zone 1", "zone": "Temp. Zone 1", "druk": "Druck"}
NO_ENCODINGS = [
    "rot13", "zlib_codec", "base64", "hex", "bz2", "uu", "quopri", "idna", "punycode", "undefined",
    "unicode_escape", "x\0",
]  # fmt: skip
REFUSED = [
    *((PLAIN, {"asset": name}, "--asset: '", "is not a name of") for name in ("x" * 101, "12:30")),
    (
        "ts,x\n03/04/2026 06:00,1\n05/04/2026 06:00,2\n",
        {},
        "--time-format dd/mm/yyyy or --time-format mm/dd/yyyy",
    ),
    *(
        ("ts;x\n14.03.2026 06:30;1\n", {"time_format": named}, "--time-format")
        for named in ("%Q", "%H:%M", "ymd", "%d.%d.%Y", "\udcff")
    ),
    *(
        (f"ts;x\n14.03.26;1\n15.03.26;1\n{bad};2\n", {}, "line 4, column ts", repr(bad))
        for bad in ("31.02.2026 06:00", "14.13.2026 06:00", "14.03.2026 25:00", "morgen")
    ),
    (
        "ts;x\n29.03.2026 01:59;1\n29.03.2026 02:30;1\n29.03.2026 03:00;2\n",
        IN_BERLIN, "line 3, column ts", "does not exist in Europe/Berlin",
        "--tz Etc/GMT-1",
    ),
    ("\n".join(NO_ORDER), {"asset": None, **IN_BERLIN}, "comes twice in Europe/Berlin"),
    (f"ts,batch\n{CODES}", {}, "column 'batch' is taken for a number", "declare it as a category"),
    *((PLAIN, {"encoding": name}, "encoding", "utf-8, cp1252") for name in NO_ENCODINGS),
    *(
        (STAMPED_LAST, {"time": wanted}, "did you mean Zeitstempel?")
        for wanted in ("zeitstempl", "time", "Timestamp")
    ),
    *((ZONES, {"only": (wanted,)}, f"did you mean {near}?") for wanted, near in NEAR.items()),
]  # fmt: skip
PACKED = gzip.compress(b"ts,x\n2026-01-05,1\n" * 1000)[:60] + b"\x55" * 60
RUBBISH = [
    (b"ts,x\n2026-01-05,\xed\xa0\x80\n", "line 2 is not written in utf-8"),
    ("ts,Größe\n2026-01-05,1\n".encode() + b"2026-01-06,\xff\n", "line 3 is not written in utf-8"),
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
    (PACKED, "cannot be read"),
    (b"PAR1" + b"rubbish" * 100 + b"PAR1", "Parquet file cannot be read"),
    (b"PAR1", "Parquet file cannot be read"),
    (b"\0" * 5000, "no column of time stamps"),
]


def test_what_is_ambiguous_or_cannot_be_is_refused_with_what_to_do_and_changes_nothing(folder):
    assert folder.unsaid(REFUSED) == []


def test_rubbish_and_an_endless_line_in_a_small_archive_are_refused_within_seconds(folder):
    endless = b"ts,x\n2026-01-05," + b"1" * (60 << 20)
    packed = [(pack(endless, 1), "line 2 is longer than 4 MiB") for pack in (gzip.compress,)]
    found = {}
    for content, said in [*RUBBISH, *packed]:
        started = time.process_time()
        told = folder.unsaid([(content, {}, said)])
        found[content[:30]] = (told, time.process_time() - started < 8)
    assert found == dict.fromkeys(found, ([], True))


def test_a_large_file_is_refused_before_all_of_it_is_read(folder, monkeypatch):
    monkeypatch.setattr(f"{TEXT}.BLOCK_BYTES", 2_000)
    monkeypatch.setattr(f"{TEXT}.LONGEST_RECORD", 4_000)
    rows = "".join(f"{1_767_571_200 + i},{i}\n" for i in range(10_000))
    said = ("line 2, column ts", "\n  - the lines behind line", "were not read")
    open_mark = ("line 2: a quotation mark is opened and not closed", "were not read")
    contents = [(f"ts,x\nnever,1\n{rows}", {}, *said), (f'ts,x\n17,"7\n{rows}', {}, *open_mark)]
    assert folder.unsaid(contents) == []


NO_ASSETS = [
    "[" * 3000,
    "a: " + "9" * 100_000,
    'a: {title: "\\ud800"}',
    "a: {title: !!python/object:os.system x}",
    "a: &a [*a]",
    "? [1, 2]\n: 3",
    "a: 2026-13-45",
]


def test_rubbish_instead_of_asset_documents_is_refused_and_a_table_of_assets_is_understood(folder):
    assert folder.unsaid([(content, {}, "file.yaml") for content in NO_ASSETS], folder.assets) == []
    path = folder.file("asset;Höhe [m];Hersteller\no-1;2,5;Müller\no-2;#NV;-\n".encode("cp1252"))
    given = [g.document["attributes"] for g in read_assets(path, FileForm())]
    assert given == [{"H_he_m": 2.5, "Hersteller": "Müller"}, {}]
