"""Files with one row for each value: which are, with which columns, and the readings in them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.adapters.files import chunks, long_table
from alerting.adapters.files.readings_and_events import ReadingsFile
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import FileForm
from alerting.ports import silent
from alerting.usecases.ingestion.imported_files import notes, refuse_bad

pytestmark = pytest.mark.fast
START = datetime(2026, 3, 2, 6, tzinfo=UTC)


def import_file(path, **layout):
    """Return the values and qualities by asset and instant, as the store merges them; the form of
    the file; the notes on it."""
    source = ReadingsFile(path, FileForm(**({"asset": "x"} | layout)))
    profile = source.profile(silent)
    types = {title: c.inferred() for title, c in profile.columns.items() if c.inferred()}
    refuse_bad(source, profile, None)
    stored = {}
    for batch in source.read(types, pytest.fail, silent):
        for row in batch:
            minute = (row.ts - START) / timedelta(minutes=1)
            stored.setdefault((row.asset, minute), {}).update({**row.values, **row.quality})
    plan = source.form
    form = (plan.variable_column, plan.value_column, plan.unit_column, plan.quality)
    return stored, form, " / ".join(notes(source, profile, types))


def lines(template, *rows):
    return "".join(template.format(*row) + "\n" for row in rows)


INTERLEAVED = [(t, v, 10 * t + i) for t in range(4) for i, v in enumerate(["flow", "heat"])]
GROUPED = sorted(INTERLEAVED, key=lambda row: row[1])
BOTH = {("x", t): {"flow": 10 * t, "heat": 10 * t + 1} for t in range(4)}
LONG = {
    "WinCC: validity, its own rows, a count of time": (
        '"VarName";"TimeString";"VarValue";"Validity";"Time_ms"\n'
        '"$RT_OFF$";"02.03.2026 05:59:00";0;2;1\n'
        + lines('"{1}";"02.03.2026 06:0{0}:00";{2},0;1;4608325{0}000,0', *INTERLEAVED[:-1])
        + '"heat";"02.03.2026 06:03:00";0,0;0;46083253000,0\n"$RT_COUNT$";8;;;\n',
        {},
        {**BOTH, ("x", 3): {"flow": 30.0, "heat": "bad"}},
        ("VarName", "VarValue", None, "Validity"),
        ["2 lines without a value", "$RT_OFF$, $RT_COUNT$", "1 is read as good", "'Time_ms'"],
    ),
    "Home Assistant: one series after the other, words, numbers and flags": (
        "entity_id,state,last_changed\n"
        + lines("sensor.heat,{1},2026-03-02T06:0{0}:00.000Z", (0, 1.5), (1, "2.5"), (2, "3.5"))
        + lines("switch.fan,{1},2026-03-02T06:0{0}:00.000Z", (0, "on"), (2, "off")),
        {},
        {
            ("x", 0): {"sensor_heat": 1.5, "switch_fan": "on"},
            ("x", 1): {"sensor_heat": 2.5},
            ("x", 2): {"sensor_heat": 3.5, "switch_fan": "off"},
        },
        ("entity_id", "state", None, None),
        [],
    ),
    "InfluxDB: tags of one series, titles again": (
        "result,table,_start,_time,_value,_field,_measurement\n"
        + lines(",{3},2026-03-02T00:00:00Z,2026-03-02T06:0{0}:00Z,{2},{1},oven", *[
            (*row, row[1] == "heat") for row in GROUPED[:4]
        ]).replace("True", "1").replace("False", "0")
        + "result,table,_start,_time,_value,_field,_measurement\n"
        + lines(",1,2026-03-02T00:00:00Z,2026-03-02T06:0{0}:00Z,{2},{1},oven", *GROUPED[4:]),
        {},
        BOTH,
        ("_field", "_value", None, None),
        ["columns left aside: ", "'table', '_start', '_measurement'"],
    ),
    "historian: quality in words, a value that is a word, assets on the lines": (
        "asset,TagName,Timestamp,Value,Quality\n"
        + lines("{0},level,2026-03-02T06:00:00Z,{1},{2}", ("a", 1, "Good"), ("b", 2, "uncertain"))
        + lines("{0},mode,2026-03-02T06:00:00Z,{1},{2}", ("a", "auto", "Good"), ("b", "hand", "")),
        {"asset": None},
        {
            ("a", 0): {"level": 1.0, "mode": "auto"},
            ("b", 0): {"level": "uncertain", "mode": "hand"},
        },
        ("TagName", "Value", None, "Quality"),
        [],
    ),
    "units beside, of one sensor two; numbers of sensors; date and clock apart": (
        "Datum;Uhrzeit;Messstelle;Messwert;Einheit\n"
        + lines(
            "02.03.2026;06:0{}:00;{};{};{}",
            *[(0, 1, "1,5", "°C"), (0, 2, "7,0", "bar"), (1, 1, "274,5", "K"), (1, 2, "8,0", "")],
        ),
        {},
        {("x", 0): {"v_1_C": 1.5, "v_2": 7.0}, ("x", 1): {"v_1_K": 274.5, "v_2": 8.0}},
        ("Messstelle", "Messwert", "Einheit", None),
        ["'1' has several units (°C and K)"],
    ),
    "no title known: texts that tell the rows of an instant apart": (
        "quelle;wann;anzeige\n" + lines("{1};2026-03-02T06:0{0}:00Z;{2}", *INTERLEAVED),
        {},
        BOTH,
        ("quelle", "anzeige", None, None),
        [],
    ),
    "seconds and nanoseconds since 1970": (
        "itemid,clock,value,ns\n"
        + lines("{1},{3},{2},500000000", *[
            (t, 7 + i, 10 * t + i, 1_772_431_200 + 60 * t) for t, _, n in INTERLEAVED[::2]
            for i in range(2)
        ]),
        {},
        {("x", t + 1 / 120): {"v_7": 10 * t, "v_8": 10 * t + 1} for t in range(4)},
        ("itemid", "value", None, None),
        [],
    ),
    "columns that may be a quality": (
        "ts,tag,value,type,Marker,check\n"
        + lines("2026-03-02T06:0{0}:00Z,{1},{2},REAL,,VALID", *INTERLEAVED[:-1])
        + "2026-03-02T06:03:00Z,heat,31,REAL,B,OFL\n",
        {"variable_column": "tag", "value_column": "value"},
        BOTH,
        ("tag", "value", None, None),
        ["'check' is left aside (OFL 1): if it states the quality", "--quality 'check'"],
    ),
    "words of a quality": (
        "ts,tag,value,check\n"
        + lines("2026-03-02T06:0{0}:00Z,{1},{2},OK", *INTERLEAVED[:-1])
        + "2026-03-02T06:03:00Z,heat,31,UFL\n",
        {"quality": "check"},
        {**BOTH, ("x", 3): {"flow": 30.0, "heat": "bad"}},
        ("tag", "value", None, "check"),
        [],
    ),
    "stated columns": (
        "ts,kind,low,high\n" + lines("2026-03-02T06:0{0}:00Z,{1},0,{2}", *INTERLEAVED),
        {"variable_column": "kind", "value_column": "high"},
        BOTH,
        ("kind", "high", None, None),
        ["columns left aside: 'low'"],
    ),
    "a stated quality, in codes": (
        "name,ts,value,state\n"
        + lines("{1},2026-03-02T06:0{0}:00Z,{2},192", *INTERLEAVED[:-1])
        + "heat,2026-03-02T06:03:00Z,31,8\n",
        {"quality": "state"},
        {**BOTH, ("x", 3): {"flow": 30.0, "heat": "bad"}},
        ("name", "value", None, "state"),
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("block", [4 << 20, 170])
@pytest.mark.parametrize("case", LONG)
def test_a_file_with_one_row_for_each_value_has_the_readings_of_its_instants(
    tmp_path, monkeypatch, case, block
):
    monkeypatch.setattr(chunks, "BLOCK_BYTES", block)
    content, layout, expected, form, phrases = LONG[case]
    path = tmp_path / "long.csv"
    path.write_text(content)
    stored, columns, text = import_file(path, **{"zone": "UTC", **layout})
    assert (stored, columns) == (expected, form)
    assert [phrase for phrase in phrases if phrase not in text] == []


ONE_AFTER_THE_OTHER = "Zeit;Anlage;{0};{1}\n" + lines(
    "2026-03-02T06:{1:02}:{2:02}Z;ofen;{0};{2}",
    *[(v, *divmod(t, 60)) for v in ("zulauf", "ablauf") for t in range(2100)],
)


def test_texts_that_come_one_after_the_other_at_the_same_instants_are_variables(tmp_path):
    path = tmp_path / "long.csv"
    layout = {"asset": None, "asset_column": "Anlage", "duplicates": "last"}
    path.write_text(ONE_AFTER_THE_OTHER.format("Position", "Wert"))
    stored, form, _ = import_file(path, **layout)
    assert form[:2] == ("Position", "Wert")
    seconds = {("ofen", t / 60): t % 60 for t in range(2100)}
    assert stored == {key: {"zulauf": value, "ablauf": value} for key, value in seconds.items()}
    later = ONE_AFTER_THE_OTHER.replace("ofen;ablauf", "kessel;ablauf")
    path.write_text(later.format("Rezept", "Wert"))
    assert import_file(path, **layout)[1] == (None,) * 4


WIDE = {
    "a category beside numbers": "ts,recipe,temperature,speed\n"
    + lines("2026-03-02T06:{0:02}:00Z,{1},{0},{0}5", *[(t, "AB"[t // 20]) for t in range(40)]),
    "a category that is a name, beside a state and a number": "ts,name,state,temperature\n"
    + lines("2026-03-02T06:{0:02}:00Z,{1},run,{2}", *[(t, "AB"[t % 2], t % 7) for t in range(40)]),
    "a category beside one number, several rows a minute": "ts,product,weight\n"
    + lines("2026-03-02T06:{0:02}:00Z,{1},{2}", *[(t // 9, "AB"[t // 30], 1) for t in range(40)]),
}


@pytest.mark.parametrize("case", WIDE)
def test_a_wide_file_with_texts_stays_one(tmp_path, case):
    path = tmp_path / "wide.csv"
    path.write_text(WIDE[case])
    form = ReadingsFile(path, FileForm(asset="x")).form
    assert (form.variable_column, form.value_column) == (None, None)


MACHINES = "ts,{0},tag,value\n" + lines(
    "2026-03-02T06:0{0}:00Z,{3},{1},{2}", *[(*row, m) for row in INTERLEAVED for m in ("a", "b")]
)
REFUSED = {
    "two columns of values": (
        "ts,tag,low,high\n" + lines("2026-03-02T06:0{0}:00Z,{1},{2}5,{2}", *INTERLEAVED),
        {},
        [
            "the column of values is not clear: 'low', 'high'",
            "--variable-column and --value-column",
            "--wide",
        ],
    ),
    "two columns of texts": (MACHINES.format("machine"), {}, ["'machine'", "--asset-column"]),
    "words of a quality": (
        "ts,tag,value,check\n"
        + lines("2026-03-02T06:0{0}:00Z,{1},{2},VALID", *INTERLEAVED)
        + "2026-03-02T06:04:00Z,heat,31,OFL\n",
        {},
        ["'tag', 'value', 'check'", "one of qualities with --quality"],
    ),
    "texts beside numbers, one of both in a row": (
        "ts,tag,value,text\n"
        + lines("2026-03-02T06:0{0}:00Z,a,{0},", *INTERLEAVED[::2])
        + lines("2026-03-02T06:0{0}:00Z,b,,on", *INTERLEAVED[::2]),
        {},
        ["the meaning of its columns is not clear: 'tag', 'value', 'text'"],
    ),
    "values in a column for each type": (
        "tagid,intvalue,floatvalue,textvalue,t_stamp\n"
        + lines(
            "1,{0},,,177243120{0}000\n2,,{0}.5,,177243120{0}000\n3,,,on,177243120{0}000",
            *INTERLEAVED[::2],
        ),
        {},
        ["a row fills one of 'floatvalue', 'intvalue', 'textvalue': import the file once for each"],
    ),
    "no titles": (
        lines("{1},DOUBLE,177243120{0},GOOD,{2}", *INTERLEAVED),
        {},
        ["no line names the columns: name them in their order with --columns, such as variable"],
    ),
    "codes of a quality": (
        "ts,tag,value,quality\n"
        + lines("2026-03-02T06:0{0}:00Z,{1},{2},192", *INTERLEAVED[:-1])
        + "2026-03-02T06:03:00Z,heat,31,0\n",
        {},
        ["the quality of some values is not clear:", "choose one with --quality-codes"],
    ),
    "texts that look like assets": (
        "ts,machine,value\n" + lines("2026-03-02T06:0{0}:00Z,{1},{2}", *INTERLEAVED),
        {},
        ["--asset-column 'machine'", "--variable-column 'machine' --value-column 'value'"],
    ),
    "a machine that comes later": (
        "ts,machine,tag,value\n"
        + lines("2026-03-02T06:{0:02}:{1:02}Z,a,t,{1}", *[divmod(t, 60) for t in range(2200)])
        + "2026-03-02T06:00:00Z,b,t,1\n",
        {},
        ["rows of the variable 't' differ in column 'machine'", "--asset-column 'machine'"],
    ),
    "names that are texts of messages": (
        "ts,name,value\n"
        + lines("2026-03-02T06:{0:02}:{1:02}Z,{1}{0},1", *[divmod(t, 60) for t in range(120)]),
        {},
        ["'name' would name the variable", "120 different texts in 120 rows"],
    ),
    "a column of values that is named as a variable": (
        "ts,tag,value\n" + lines("2026-03-02T06:0{0}:00Z,{1},{2}", *INTERLEAVED),
        {"only": ("value",)},
        ["Name variables, not 'value'", "--wide"],
    ),
    "no name": (
        "ts,tag,value\n" + lines("2026-03-02T06:0{0}:00Z,{1},{2}", *INTERLEAVED, (5, "", 1)),
        {},
        ["line 10, column tag: there is no name of a variable"],
    ),
    "another value of a variable": (
        "ts,tag,value\n" + lines("2026-03-02T06:0{0}:00Z,{1},{2}", *INTERLEAVED, (3, "heat", 5)),
        {},
        ["line 10, column heat: another value", "--duplicates last or mean"],
    ),
    "wide by order: the hint names the columns": (
        "ts,tag,value\n" + lines("2026-03-02T06:0{0}:00Z,{1},{2}", *INTERLEAVED),
        {"is_wide": True},
        ["column 'tag' tell the lines", "--variable-column 'tag' --value-column 'value'"],
    ),
    "wide by order, merged": (
        "ts,tag,value\n" + lines("2026-03-02T06:0{0}:00Z,{1},{2}", *INTERLEAVED),
        {"is_wide": True, "duplicates": "mean"},
        ["--duplicates mean would mix", "--variable-column 'tag' --value-column 'value'"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_be_read_in_several_ways_is_refused_with_the_way_on(tmp_path, case):
    content, layout, phrases = REFUSED[case]
    path = tmp_path / "long.csv"
    path.write_text(content)
    with pytest.raises(UserError) as refusal:
        import_file(path, **layout)
    text = str(refusal.value)
    assert [phrase for phrase in phrases if phrase not in text] == []
    assert "quality" not in case or "--skip-bad" not in text
    assert "distinguish" in case or "is_wide" not in layout or "--skip-bad" not in text


@pytest.mark.parametrize("order", ["instant", "variable", "file of Parquet"])
def test_long_and_wide_files_of_the_same_values_have_the_same_readings(
    tmp_path, monkeypatch, order
):
    monkeypatch.setattr(chunks, "BLOCK_BYTES", 20_000)
    monkeypatch.setattr(long_table, "_CELLS_AT_ONCE", 700)
    hours = pd.date_range("2026-10-24 23:00", periods=2000, freq="1min", tz="Europe/Berlin")
    is_local = order == "instant"
    stamps = hours.strftime("%Y-%m-%d %H:%M:%S") if is_local else hours.astype(str)
    wide = pd.DataFrame({f"t{i}": [str(i + row) for row in range(2000)] for i in range(6)})
    wide = wide.mask(np.add.outer(np.arange(2000), np.arange(6)) % 5 == 0).assign(ts=stamps)
    wide.to_csv(tmp_path / "wide.csv", index=False)
    long = wide.melt("ts", var_name="tag", ignore_index=False).dropna()
    long = long.sort_index(kind="stable") if is_local else long
    path = tmp_path / ("long.parquet" if "Parquet" in order else "long.csv")
    write = long.to_parquet if "Parquet" in order else long.to_csv
    write(path, index=False)
    zone = "Europe/Berlin"
    expected, *_ = import_file(tmp_path / "wide.csv", zone=zone)
    stored, form, _ = import_file(path, zone=zone)
    assert form[:2] == ("tag", "value")
    assert stored == expected
