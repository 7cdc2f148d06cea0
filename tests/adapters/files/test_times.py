"""Times as files write them: words of languages, zones, counts, starts, clocks, intervals."""

from datetime import UTC, datetime

import pytest

from alerting.adapters.files.readings_and_events import ReadingsFile
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import FileForm
from alerting.ports import silent

pytestmark = pytest.mark.fast

BERLIN = {"plant_zone": "Europe/Berlin"}
SIX = datetime(2026, 3, 2, 6, tzinfo=UTC)


def at(text):
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


ABOVE = {"date": "Date", "start_above": "Start time", "zone_above": "Time zone"}


def read(folder, titles, stamps, **stated):
    """Return the instants of a file with one variable beside the stamps, and its profile."""
    above = [f"{ABOVE[key]};{stated.pop(key)}" for key in [*stated] if key in ABOVE]
    path = folder / "times.csv"
    rows = [f"{stamp};{number}.5" for number, stamp in enumerate(stamps, 1)]
    path.write_text("\n".join([*above, f"{titles};v [bar]", *rows]) + "\n")
    file = ReadingsFile(path, FileForm(asset="oven-1", **stated))
    profile = file.profile(silent)
    bad = [line.text for line in profile.first_bad]
    assert not bad, bad
    batches = file.read({"v [bar]": "number"}, pytest.fail, silent)
    return [row.ts for batch in batches for row in batch], file.form, profile


# titles, stamps, instants (from the month on, UTC)
WORDS = {
    "Zeit": {
        "Mo, 02.03.2026 06:00": "03-02 06:00",
        "Dienstag, 03.03.2026 06:00": "03-03 06:00",
    },
    "Datum": {"Montag, 2. März 2026 06:00:00": "03-02 06:00", "14. Okt 26 06:00": "10-14 06:00"},
    "Horodatage": {
        "lun. 2 mars 2026 à 06:00": "03-02 06:00",
        "1er févr. 2026 06:00": "02-01 06:00",
        "3 AOÛT 2026 06:00": "08-03 06:00",
    },
    "Fecha": {
        "2 de marzo de 2026 6:00 a. m.": "03-02 06:00",
        "3 ago. 2026 6:00 P.M.": "08-03 18:00",
    },
    "Data": {"2 paź 2026 06:00": "10-02 06:00", "3 stycznia 2026 06:00": "01-03 06:00"},
    "Data e ora": {"2 gen 2026 06:00": "01-02 06:00", "3 luglio 2026 06:00": "07-03 06:00"},
    "Tijd": {"2 mrt. 2026 06:00": "03-02 06:00", "3 mei 2026 06:00": "05-03 06:00"},
    "Data/hora": {"2 de fevereiro de 2026 06:00": "02-02 06:00", "3 dez 2026 06:00": "12-03 06:00"},
    "Date": {"Mar 2, 2026 6:00:00 PM": "03-02 18:00", "April 13, 2026 6:00 am": "04-13 06:00"},
    "When": {
        "Mon Mar 02 06:00:00 CET 2026": "03-02 05:00",
        "Tue Mar 03 06:00:00 UTC 2026": "03-03 06:00",
    },
    "Stamp": {"02MAR2026:06:00:00": "03-02 06:00", "03/Mar/2026:06:00:00 +0100": "03-03 05:00"},
    "Logged": {
        "13/3/2026 12:05 a.\u00a0m.": "03-13 00:05",
        "13/3/2026 12:05 p.\u202fm.": "03-13 12:05",
    },
    "Noted": {"2026-03-02 06:00 AM": "03-02 06:00", "2026-03-02\u00a006:00 PM": "03-02 18:00"},
}


@pytest.mark.parametrize("title", WORDS)
def test_words_of_languages_are_read(tmp_path, title):
    instants, _, _ = read(tmp_path, title, WORDS[title])
    assert instants == [at(text) for text in WORDS[title].values()]


# titles, stamp, options, instant, what the plan says of the zone
ZONES = [
    (
        "Date Time, GMT-05:00",
        "2026-03-02 01:00",
        BERLIN,
        SIX,
        "the title of the column says GMT-05:00",
    ),
    ("Zeit [UTC]", "02.03.2026 06:00", BERLIN, SIX, "the title of the column says UTC"),
    ("time_gmt", "2026-03-02 06:00", BERLIN, SIX, "the title of the column says gmt"),
    ("Timestamp (CET)", "2026-07-02 06:00", BERLIN, at("07-02 05:00"), "says CET"),
    ("Zeit (MEZ/MESZ)", "2026-07-02 06:00", {}, at("07-02 04:00"), "says MEZ/MESZ"),
    ("Time (Europe/Berlin)", "2026-07-02 06:00", {}, at("07-02 04:00"), "says Europe/Berlin"),
    ("Time (UTC+5:30)", "2026-03-02 11:30", {}, SIX, "says UTC+5:30"),
    ("Time (CST)", "2026-03-02 14:00", {"plant_zone": "Asia/Shanghai"}, SIX, "says CST"),
    ("Zeit", "2026-03-02 07:00", {"zone_above": "UTC+1"}, SIX, "a line above the table says UTC+1"),
    (
        "Zeit",
        "2026-07-02 06:00",
        {"zone_above": "(UTC+01:00) Amsterdam, Berlin"},
        at("07-02 04:00"),
        "above",
    ),
    (
        "Zeit",
        "2026-07-02 06:00",
        {"zone_above": "W. Europe Standard Time"},
        at("07-02 04:00"),
        "above",
    ),
    ("Zeit [UTC]", "2026-03-02 07:00", {"zone": "Europe/Berlin"}, SIX, "--tz"),
    ("Zeit", "2026-03-02 06:00:00 IST", {"zone": "Asia/Kolkata"}, at("03-02 00:30"), "--tz"),
    ("Zeit", "2026-07-02 06:00:00 EDT", BERLIN, at("07-02 10:00"), None),
    ("Zeit", "02.07.2026 06:00 MESZ", BERLIN, at("07-02 04:00"), None),
    ("Zeit", "2026-03-02T07:00:00+01:00[Europe/Berlin]", {}, SIX, None),
    ("Zeit;tz", "2026-07-02 06:00;CEST", BERLIN, at("07-02 04:00"), None),
    ("Zeit;Zone", "2026-03-02 07:00;+01:00", {}, SIX, None),
    ("Zeit;Zone", "2026-03-02 07:00;NORD", BERLIN, SIX, "ALERTING_TIMEZONE"),
]


def test_the_zone_is_that_of_the_stamp_the_title_the_preamble_or_the_plant(tmp_path):
    for titles, stamp, options, instant, words in ZONES:
        instants, plan, _ = read(tmp_path, titles, [stamp], **options)
        assert (titles, instants) == (titles, [instant])
        assert (plan.zone_from is None) == (words is None), titles
        assert (words or "") in (plan.zone_from or ""), titles


NO_ZONE = "neither --tz nor ALERTING_TIMEZONE names a zone"
LATER = {"": ("UTC", NO_ZONE), "Europe/Berlin": ("Europe/Berlin", "ALERTING_TIMEZONE")}


def test_the_zone_of_later_stamps_that_name_none_is_said(tmp_path):
    path = tmp_path / "line.csv"
    stamps = [f"2026-03-0{day}T{t // 60:02}:{t % 60:02}:00" for day in (2, 3) for t in range(1440)]
    for plant, zone in LATER.items():
        for marks in ("Z", ""), ("Z", "Z"):
            rows = [f"{stamp}{marks[i >= 2500]},{i}\n" for i, stamp in enumerate(stamps)]
            path.write_text("ts,heat\n" + "".join(rows))
            file = ReadingsFile(path, FileForm(asset="oven-1", plant_zone=plant or None))
            assert (file.form.zone, file.form.zone_from) == (None, None)
            file.profile(silent)
            expected = (None, None) if marks[1] else zone
            assert (file.form.zone, file.form.zone_from) == expected


def test_a_zone_that_contradicts_the_option_is_said(tmp_path):
    option = {"zone": "Europe/Berlin"}
    for titles, notes in {
        "Zeit [UTC]": (
            "the title of the column says UTC, but --tz says Europe/Berlin, which counts",
        ),
        "Zeit (CET)": (),
    }.items():
        _, _, profile = read(tmp_path, titles, ["2026-03-02 07:00"], **option)
        assert profile.head_notes == notes


# titles, stamps, options, the second instant, the format
FIRST = "2026-03-02T06:00:00Z;"
COUNTS = [
    ("Zeit", ("1772431200", "1772431200,5"), {}, 500, "seconds since 1970"),
    ("t", ("1772431200000", "1772431200500"), {}, 500, "milliseconds since 1970"),
    ("ts", ("1772431200000000", "1772431200500000"), {}, 500, "microseconds since 1970"),
    ("epoch", ("1772431200000000000", "1772431200500000000"), {}, 500, "nanoseconds since 1970"),
    ("FileTime", ("134169048000000000", "134169048005000000"), {}, 500, "100 ns since 1601"),
    ("Ticks", ("639080280000000000", "639080280005000000"), {}, 500, "100 ns since the year 1"),
    ("Datum", ("46083,25", "46083,2506944444"), {}, 60_000, "days since 1899-12-30"),
    ("Date", ("46083.25", "46084.25"), {}, 86_400_000, "days since 1899-12-30"),
    ("Time_ms", ("46083250000,0000", "46083250115,7407"), {}, 10_000, "(WinCC)"),
    (
        "Zeit;Time_ms",
        ("02.03.2026 06:00:00;46083250000,0", "02.03.2026 06:00:10;46083250115,7"),
        {},
        10_000,
        "dd.mm.yyyy",
    ),
    (
        "Zeit;unix_ms",
        (f"{FIRST}1772431200000", f"{FIRST}1772431200500"),
        {},
        500,
        "milliseconds since 1970",
    ),
    (
        "Time (s)",
        ("0.0", "0.1"),
        {"start": "2026-03-02T06:00:00Z"},
        100,
        "seconds since 2026-03-02T06:00:00Z (--start)",
    ),
    (
        "Zeit [ms]",
        ("0", "100"),
        {"start": "2026-03-02T07:00:00", **BERLIN},
        100,
        "milliseconds since 2026",
    ),
    (
        "t (min)",
        ("0", "0,5"),
        {"start_above": "2026-03-02T06:00:00"},
        30_000,
        "(a line above the table)",
    ),
    (
        "X_Value",
        ("0,000000", "0,100000"),
        {"start_above": "2026-03-02T06:00:00"},
        100,
        "seconds since",
    ),
    (
        "Elapsed time",
        ("0:00:00", "0:00:10"),
        {"start": "2026-03-02T06:00:00"},
        10_000,
        "HH:MM:SS since",
    ),
    ("Date;Time;ms", ("02.03.2026;06:00:00;0", "02.03.2026;06:00:00;5"), {}, 5, "dd.mm.yyyy"),
    (
        "Tag;Uhr;Rest",
        ("02.03.2026;6:00:00 AM;0", "02.03.2026;6:00:00 AM;50"),
        {"time": "Tag + Uhr + Rest"},
        50,
        "dd.mm",
    ),
    ("Zeit;Millisekunden", ("2026-03-02 06:00:00;000", "2026-03-02 06:00:00;250"), {}, 250, "ISO"),
    ("Jahr;Monat;Tag;Stunde;Minute", ("2026;3;2;6;0", "2026;3;2;6;15"), {}, 900_000, "year month"),
    ("YY;MM;DD;hh;mm", ("26;3;2;6;0", "26;3;2;6;1"), {}, 60_000, "year month"),
    (
        "Y;M;D;h;m;s;ms",
        ("2026;3;2;6;0;0;0", "2026;3;2;6;0;1;5"),
        {"time": "Y + M + D + h + m + s + ms"},
        1_005,
        "year",
    ),
    (
        "Dia;Hora",
        ("02/03/2026;6", "13/03/2026;24"),
        {},
        11 * 86_400_000 + 18 * 3_600_000,
        "dd/mm/yyyy",
    ),
    ("Uhrzeit", ("06:00:00", "06:00:10"), {"date": "2026-03-02"}, 10_000, "HH:MM:SS"),
    (
        "Uhrzeit",
        ("06:00 AM", "06:00 PM", "12:10 AM"),
        {"start": "2026-03-02"},
        65_400_000,
        "HH:MM:SS",
    ),
    ("Zeit", ("2026-03-02T06:00:00Z", "2026-03-02T24:00:00Z"), {}, 18 * 3_600_000, "ISO"),
]


def test_counts_starts_clocks_and_parts_of_stamps_are_read_and_named(tmp_path):
    for titles, stamps, options, millis, name in COUNTS:
        instants, plan, _ = read(tmp_path, titles, stamps, **options)
        distance = round((instants[-1] - instants[0]).total_seconds() * 1000)
        assert (titles, instants[0], distance) == (titles, SIX, millis)
        assert name in plan.time_format


def test_a_start_is_added_to_clock_times_only_where_they_begin_with_zero_and_it_does_not(tmp_path):
    clocks = ["06:00:00", "06:01:00"], ["00:00:00", "00:01:00"]
    for stamps, start, first in (
        (clocks[0], "2026-03-02T05:30:00", at("03-02 06:00")),
        (clocks[1], "2026-03-02T06:00:00", SIX),
        (clocks[1], "2026-03-02T00:00:00", at("03-02 00:00")),
    ):
        assert read(tmp_path, "Zeit", stamps, start=start, zone="UTC")[0][0] == first


INTERVALS = {
    "Intervall": ("2026-03-02 06:00 - 06:15", "2026-03-02 06:15 - 06:30"),
    "Zeit": [f"02.03.2026 06:{m:02}-06:{m + 5:02}" for m in range(0, 50, 5)],
    "MTU": ("2026-03-02T06:00Z/2026-03-02T06:15Z", "2026-03-02T06:15Z/2026-03-02T06:30Z"),
    "Datum;Zeitraum": ("02.03.2026;06:00 bis 06:15", "02.03.2026;06:15 bis 06:30"),
    "Von;Bis": ("02.03.2026 06:00;02.03.2026 06:15", "02.03.2026 06:15;02.03.2026 06:30"),
    "Datum;von;bis": ("02.03.2026;06:00;06:15", "02.03.2026;06:15;06:30"),
    "startTime;endTime": ("2026-03-02T06:00Z;2026-03-02T06:15Z", "2026-03-02T06:15Z;"),
}


def test_the_start_of_an_interval_counts_and_its_end_is_no_value(tmp_path):
    for titles, stamps in INTERVALS.items():
        instants, _, profile = read(tmp_path, titles, stamps)
        assert (titles, instants[0]) == (titles, SIX)
        assert any("start" in note for note in profile.head_notes), titles
        assert [*profile.columns] == ["v [bar]"]
    offsets = [f"02.03.2026 06:{minute}-05:00" for minute in range(10, 20)]
    instants, _, _ = read(tmp_path, "Zeit", offsets)
    assert instants[0] == at("03-02 11:10"), "one offset of all stamps is a zone"


def test_a_zone_behind_intervals_decides_the_hour_that_comes_twice(tmp_path):
    hours = ["02:00", "02:30", "02:00", "02:30", "03:00"]
    stamps = [f"25.10.2026 {hour} - 25.10.2026 {hour} (CET/CEST)" for hour in hours]
    instants, plan, _ = read(tmp_path, "MTU", stamps)
    assert [f"{instant:%H:%M}" for instant in instants] == [
        *("00:00", "00:30", "01:00", "01:30", "02:00")
    ]
    assert (plan.zone, plan.zone_from) == ("Europe/Berlin", "the stamps say CET/CEST")
    stamps = [f"02.03.2026 {hour} - 02.03.2026 {hour} (EST)" for hour in hours[2:]]
    assert read(tmp_path, "Interval", stamps)[0][0] == at("03-02 07:00")
    winter = read(tmp_path, "Time (EET/EEST)", ["2026-03-02 08:00"])[0]
    assert winter == [SIX]


EPOCH = 1_772_431_200
AGAIN = {  # titles: stamps, columns that stay
    "Datum;Zeit;Unixzeit": ([f"02.03.2026;06:0{n}:00;{EPOCH + 60 * n}" for n in range(4)], []),
    "Time Code;Date;Clock;Milliseconds [ms]": (
        [f"{EPOCH}{250 * n:03};03/02/2026;07:00:00;{250 * n}" for n in range(4)], []
    ),
    "Timestamp;Excel date;ms": (
        [f"2026-03-02 06:0{n}:00.040;02.03.2026 08:0{n}:00;40" for n in range(4)], []
    ),
    "timestamp;received time": (
        [f"2026-03-02 06:0{n}:00;2026-03-02 06:0{n}:03" for n in range(4)], ["received time"]
    ),
    "timestamp;ms;Batch start": (
        [f"2026-03-02 06:{15 * n:02}:00.040;{n};2026-03-02 06:00:00" for n in range(4)],
        ["ms", "Batch start"],
    ),
}  # fmt: skip


def test_columns_that_state_the_time_again_are_left_out_and_named(tmp_path):
    for titles, (stamps, stay) in AGAIN.items():
        _, plan, profile = read(tmp_path, titles, stamps)
        assert (titles, [*profile.columns][:-1]) == (titles, stay)
        left_out = {*titles.split(";")} - {*(plan.time or "").split(" + "), *stay}
        notes = [note for note in profile.head_notes if "state the times again" in note]
        assert all(any(f"'{title}'" in note for note in notes) for title in left_out)
    stated = read(tmp_path, "ts;day", ["2026-03-02T06:00Z;2026-03-02"] * 1, only=("day", "v [bar]"))
    assert [*stated[2].columns] == ["day", "v [bar]"]


REFUSED = {
    ("SymbolName", ("0", "10", "20")): "If 'SymbolName' counts from a start, .* --columns",
    ("Time (s)", ("0.0", "0.1")): "count seconds from a start .* give it with --start",
    ("Laufzeit", ("0:00:00", "0:00:10")): "from a start that the file does not state",
    ("Zeit", ("23:40:00", "23:41:00")): "name no date; give that of the first line with --start",
    ("Time (CST)", ("2026-03-02 06:00",)): "CST means several zones .* --tz America/Chicago",
    ("Zeit;tz", ("2026-03-02 06:00;Europe/Berlin",)): "give it with --tz Europe/Berlin",
    ("Nummer", ("1772431200000000", "1772431200500000")): "no column of time stamps",
    ("Betriebszeit", ("46083,25", "46083,5")): "no column of time stamps",
    ("created;updated", ("2026-03-02;2026-03-03",)): "name with --time",
}


def test_what_the_file_leaves_open_is_asked_for(tmp_path):
    for (titles, stamps), sentence in REFUSED.items():
        with pytest.raises(UserError, match=sentence):
            read(tmp_path, titles, stamps)
    with pytest.raises(UserError, match="--start goes with"):
        read(tmp_path, "ts", ["2026-03-02 06:00"], start="2026-03-02")


BAD = {
    ("Zeit", ("2026-03-02 06:00:00 IST",)): "IST means several zones",
    ("Zeit", ("2026-03-02 24:01", "2026-03-03 00:00")): "no date and time|not a date and time",
    ("Zeit", ("06:00", "18:30", "16:00")): "unclear whether a day begins",
    (
        "ts",
        (*(f"17724312000{n:02}000" for n in range(20)), "12"),
    ): "the stamps of this file are microseconds since 1970",
}


def test_bad_stamps_are_named_with_the_reason(tmp_path):
    for (titles, stamps), reason in BAD.items():
        options = {"start": "2026-03-02"} if "06:00" in stamps else {}
        with pytest.raises(AssertionError, match=reason):
            read(tmp_path, titles, stamps, **options)


ODD = {
    "a lag in ms": ("time,ms,a", "2026-03-02 06:00:00,1250,0", "2026-03-02 06:00:05,1260,1"),
    "a voltage": ("time,US,a", "2026-03-02 06:00:00,230,0", "2026-03-02 06:00:05,231,1"),
    "an hour of one digit": ("date,hour,a", *(f"2026-03-02,{hour},0" for hour in range(6, 24))),
    "a day of another thing": (
        *("Calibration date: 2020-05-01", "Report date: 2020-05-02", "Date: 2026-03-02"),
        *("Time,a,b", "06:00:00,0,1", "06:00:05,1,2"),
    ),
    "a day of no calendar": ("Date: 30/30/2026", "ts,a", f"{SIX:%Y-%m-%d %H:%M},0"),
    "a drawn line": ("-" * 3000 + "x", "ts,a", f"{SIX:%Y-%m-%d %H:%M},0"),
    "a long title": (f"ts,{'a in ' * 20_000}", f"{SIX:%Y-%m-%d %H:%M},0"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_only_looks_like_a_part_of_the_time_moves_no_reading(tmp_path, name):
    path = tmp_path / "odd.csv"
    path.write_text("\n".join(ODD[name]) + "\n", encoding="utf-8")
    file = ReadingsFile(path, FileForm(asset="oven-1", zone="UTC"))
    profile = file.profile(silent)
    assert (profile.bad, profile.first) == (0, SIX)
    titles = {"a lag in ms": "ms", "a voltage": "US"}
    assert {titles[name]} <= {*profile.columns} if name in titles else True


CALENDARS = {
    "2569-02-26 06:00": "2569 may be 2026 in the Buddhist calendar",
    "1404/12/11 00:00": "1404 may be 2025 or 2026 in the Persian calendar",
}


@pytest.mark.parametrize("stamp", CALENDARS)
def test_a_year_of_another_calendar_is_named(tmp_path, stamp):
    with pytest.raises(AssertionError, match=CALENDARS[stamp]):
        read(tmp_path, "Time", [stamp])


def test_days_may_count_from_1904(tmp_path):
    stamps = ["44621,25", "44621,5"]
    instants, form, profile = read(tmp_path, "Date", stamps, zone="UTC")
    assert (instants[0], form.time_format) == (
        datetime(2022, 3, 1, 6, tzinfo=UTC),
        "days since 1899-12-30 (Excel)",
    )
    assert [note for note in profile.head_notes if "--time-format excel-1904" in note]
    instants, _, profile = read(tmp_path, "Date", stamps, zone="UTC", time_format="excel-1904")
    assert (instants[0], profile.head_notes) == (SIX, ())
