"""Columns of numbers as displays and people write them, of names that look like numbers, and of
words for no value: their values, types, units, and what is said of them."""

import pytest

from alerting.adapters.files import chunks
from alerting.adapters.files.readings_and_events import ReadingsFile
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import FileForm
from alerting.ports import silent
from alerting.readings.foreign_columns import derive_name, split_title, unit_parts
from alerting.usecases.ingestion.imported_files import notes, refuse_doubtful

pytestmark = pytest.mark.fast


def imported(path, title, cells, **layout):
    """Values, type, unit and notes of one column; or why it is refused."""
    rows = [f"{1_770_000_000 + i};{cell}\n" for i, cell in enumerate(cells)]
    path.write_text(f"ts;{title}\n{''.join(rows)}")
    try:
        source = ReadingsFile(path, FileForm(asset="press", separator=";", **layout))
        source.keep_names({}, {"Draw": {"kW"}})
        profile = source.profile(silent)
        column = profile.columns[title]
        types = {title: column.inferred()}
        refuse_doubtful(source, profile, types)
        read = [row for batch in source.read(types, print, silent) for row in batch]
    except UserError as refusal:
        return str(refusal)
    said = " ".join(notes(source, profile, types))
    return [row.values[column.name] for row in read], column.split_title().unit, said


# cells: first values, unit, what the notes contain
WRITTEN = {
    ("Feed", "3,5 mm/s", "4,25 mm/s", "5,0 mm/s"): ([3.5, 4.25, 5.0], "mm/s", ""),
    ("Kiln", "880.5°C", "881.0 °C", "n/a", "879.5\u00a0° C"): ([880.5, 881.0, 879.5], "°C", ""),
    ("Fill", "7%", "8 %", "9\u202f%"): ([7.0, 8.0, 9.0], "%", ""),
    ("Drive", "2.5 kW", "1.08 kW", "730 W"): ([2.5, 1.08, 0.73], "kW", "into kW: 1 from W"),
    ("Draw", "730 W", "815 W", "1.25 kW"): ([0.73, 0.815, 1.25], "kW", "into kW: 2 from W"),
    ("Loss [mbar]", "1.5 bar", "2.5 bar"): ([1500.0, 2500.0], "mbar", "2 from bar"),
    ("Parts", "940", "1.23 K", "2 M"): ([940.0, 1230.0, 2e6], None, "K as 1,000 (1 cell)"),
    ("Bytes", "3.5 Mil", "2 Bil"): ([3.5e6, 2e9], None, "read as factors"),
    ("Cold", "4.2 K", "77.4 K"): ([4.2, 77.4], "K", "K is read as kelvin"),
    ("Cold [K]", "4.2 K", "77.4"): ([4.2, 77.4], "K", "1 cell without a unit"),
    ("Pull", "5.5-", "2.0", "-1.0"): ([-5.5, 2.0, -1.0], None, ""),
    ("Sum", "(17)", "(3.5)", "8"): ([-17.0, -3.5, 8.0], None, "2 numbers in brackets"),
    ("Tilt", "\u22123.5", "+2.5", "\u22121 200.5"): ([-3.5, 2.5, -1200.5], None, ""),
    ("Level", "+ 116.2", "-   3.5", "+++++++", "-------"): ([116.2, -3.5], None, ""),
    ("Lift", "+ 12,5", "+  7,25"): ([12.5, 7.25], None, ""),
    ("Check", "VALID", "OFL", "VALID"): (
        ["VALID", "OFL", "VALID"], None, "words of quality (OFL 1): if it states the quality"
    ),
    ("Grade", "OK", "OK"): (["OK", "OK"], None, ""),
    ("Mass", "1.204,5 kg", "1.318,25 kg"): ([1204.5, 1318.25], "kg", ""),
    ("Trace", "<0.02", "<0.02", "<0.02", "0.31", ">9"): ([0.31], None, ""),
    ("Deep", "-999.25", "2101.5", "2102.5"): ([-999.25, 2101.5, 2102.5], None, "--missing -999.25"),
    ("Top", "1", "65535", "3", "65535"): ([1.0, 65535.0, 3.0, 65535.0], None, "occurs 2 times"),
    ("Meter", "9.9E+37", "9.91E37", "3", "-1e35"): (
        [9.9e37, 9.91e37, 3.0, -1e35], None, "--missing -1e35 if it means"
    ),
    ("Float", "1", "3.40282E+38", "3", "1.797E+308"): (
        [1.0, 3.40282e38, 3.0, 1.797e308], None, "--missing 3.40282E+38 if it means no value"
    ),
    ("Mute", "9.9E+37", "9.9E+37"): ([9.9e37, 9.9e37], None, "--missing 9.9E+37 if it means"),
    ("Near", "980", "999", "990"): ([980.0, 999.0, 990.0], None, ""),
    ("Gas", "unavailable", "5.5", "6.5", "Bad_NotConnected"): ([5.5, 6.5], None, ""),
    ("Oil", "BadSensorFailure", "Uncertain", "[-11057] No Data", "####", "8.5"): ([8.5], None, ""),
    ("Flap", "unknown", "auf", "zu", "unavailable"): (["auf", "zu"], None, ""),
    ("Lamp", "unavailable", "true", "false"): ([True, False], None, ""),
    ("Mode", "run", "hold", "unavailable"): (
        ["run", "hold", "unavailable"], None, "--missing 'unavailable'"
    ),
    ("Lot", "000815", "000816"): (["000815", "000816"], None, "'Lot=number'"),
    ("Coil", "3E2", "17", "4B1"): (["3E2", "17", "4B1"], None, "exponent without a point"),
    ("Tag", "4012345678901234"): (["4012345678901234"], None, "more than 15 digits"),
    ("Seat", "7A", "8A"): (["7A", "8A"], None, "'Seat=number'"),
    ("Count", "10", "100", "0"): ([10.0, 100.0, 0.0], None, ""),
    ("Rate", "1.0E5", "2e-3"): ([1e5, 2e-3], None, ""),
}  # fmt: skip
REFUSED = {
    ("Heat", "61.0 °C", "141.8 °F", "62.0 °C"): "mixes units: beside °C it has 1 in °F",
    ("Heat [K]", "61.0 °C", "62.0 °C"): "states the unit K, but its cells state °C",
    ("Heat [bar]", "1.5 kW", "2 kW"): "leave the column out with --only",
}


def test_values_are_those_that_are_written_or_it_is_said_or_refused(tmp_path):
    answers = {key: imported(tmp_path / "line.csv", *_column(key)) for key in WRITTEN | REFUSED}
    wrong = {
        key: answers[key]
        for key, (values, unit, note) in WRITTEN.items()
        if answers[key][:2] != (values, unit) or note not in answers[key][2]
    } | {key: answers[key] for key, part in REFUSED.items() if part not in answers[key]}
    assert wrong == {}
    without_remark = [key for key, expected in WRITTEN.items() if not expected[2]]
    assert [key for key in WRITTEN if "column '" not in answers[key][2]] == without_remark


def _column(key):
    return key[0], key[1:]


def test_a_stated_type_replaces_the_one_that_is_found(tmp_path):
    path = tmp_path / "line.csv"
    stated = [("Lot", "000815", "number"), ("Seat", "7A", "number"), ("Kiln", "8.5 °C", "category")]
    answers = [imported(path, t, [cell, cell], types={t: kind})[0] for t, cell, kind in stated]
    assert answers == [[815.0] * 2, [7.0] * 2, ["8.5 °C"] * 2]
    assert "there is no column 'Lto'" in imported(path, "Lot", ["1"], types={"Lto": "number"})


def test_a_writing_that_shows_late_in_a_file_counts_for_all_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "BLOCK_BYTES", 200)
    late = [*[f"{i}.5 K" for i in range(40)], "12"]
    values, unit, said = imported(tmp_path / "line.csv", "Sum", late)
    assert (values[1], values[40], unit) == (1500.0, 12.0, None)
    assert "K as 1,000" in said


TITLES = {
    "Dew, °C (LGR S/N: 77, SEN S/N: 78)": ("Dew", "°C", "Dew"),
    "Lux, % (Serial: 5)": ("Lux", "%", "Lux"),
    "Flow, m³/h": ("Flow", "m³/h", "Flow"),
    "Inlet_degF": ("Inlet_degF", "°F", "Inlet_degF"),
    "Line_mbar": ("Line_mbar", "mbar", "Line_mbar"),
    "Kraft/kN": ("Kraft/kN", None, "Kraft_kN"),
    "Spannung/V": ("Spannung", "V", "Spannung"),
    "Vakuum / hPa": ("Vakuum", "hPa", "Vakuum"),
    "Leistung in kW": ("Leistung", "kW", "Leistung"),
    "Feuchte %": ("Feuchte", "%", "Feuchte"),
    "#": ("#", None, "number"),
    "Netzlast [MWh] Viertelstunde": ("Netzlast Viertelstunde", "MWh", "Netzlast_Viertelstunde"),
    "Rack [A] Temp": ("Rack [A] Temp", None, "Rack_A_Temp"),
    "Humidity(%rh)": ("Humidity", "%rh", "Humidity"),
    "103 <Supply> (VDC)": ("103 <Supply>", "VDC", "v_103_Supply"),
    "Flow (gpm)": ("Flow", "gpm", "Flow"),
    # no units: a least value, a rate, a place, a word
    "Inlet_min": ("Inlet_min", None, "Inlet_min"),
    "Parts/h": ("Parts/h", None, "Parts_h"),
    "Line 2/A": ("Line 2/A", None, "Line_2_A"),
    "m/min": ("m/min", None, "m_min"),
    "Check in T1": ("Check in T1", None, "Check_in_T1"),
}


def test_units_are_found_in_titles_of_many_forms():
    assert {t: (*split_title(t), derive_name(t)) for t in TITLES} == TITLES


def test_a_prefix_is_told_from_the_unit_that_begins_with_its_letter():
    parts = {"kW": ("W", 3), "min": ("min", 0), "mm²": ("m2", -6), "mm/min": ("m/min", -3)}
    others = {"Pa": ("Pa", 0), "hPa": ("Pa", 2), "m": ("m", 0), "T": ("T", 0), "MWh": ("Wh", 6)}
    assert {unit: unit_parts(unit) for unit in parts | others} == parts | others
    assert unit_parts("Stk") is None
