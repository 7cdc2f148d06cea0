"""Ends of events that an import might take for an attribute."""

from datetime import timedelta

from tests.helpers.tables import SIX
from tests.memory_plant import Plant

STOPS = """Anlage;Art;Beginn;Ende
a;Störung Band 3;01.01.2015 06:00;01.01.2015 06:30
a;Störung Band 3;13.01.2015 06:00;13.01.2015 06:10
"""
COLUMNS = {"asset_column": "Anlage", "time": "Beginn"}
TYPES = {"type_column": "Art"}


def test_a_second_column_of_stamps_is_named_before_new_types_become_instant_for_good(importer):
    importer.expect_refusal(
        "'Ende'; nothing was written", "--end-column", "--instant",
        call=importer.events, content=STOPS, columns=TYPES, **COLUMNS,
    )  # fmt: skip
    assert importer.plant.assets.types == {}
    importer.events(STOPS, {**TYPES, "end_column": "Ende"}, **COLUMNS)
    first = importer.plant.readings.events["a", "Stoerung_Band_3", SIX]
    assert first.end == SIX + timedelta(minutes=30)
    # the next file without the end would make events that go on for ever
    importer.expect_refusal("'Ende'", call=importer.events, content=STOPS, columns=TYPES, **COLUMNS)
    # stamps that are no ends stay attributes once the types are instant
    importer.plant = Plant()
    for duration in ("instant", None):
        importer.events(STOPS, TYPES, duration, **COLUMNS)
        first = importer.plant.readings.events["a", "Stoerung_Band_3", SIX]
        assert (first.end, first.attributes) == (SIX, {"Ende": "01.01.2015 06:30"})


def test_a_wrong_import_is_taken_back_and_its_type_may_then_be_lasting(importer):
    wrong = {"columns": TYPES, "duration": "instant", "zone": "UTC", **COLUMNS}
    right = {"columns": {**TYPES, "end_column": "Ende"}, "zone": "Europe/Berlin", **COLUMNS}
    importer.events(STOPS, **wrong)
    importer.expect_refusal(
        "are stored as instant already", "--take-back",
        call=importer.events, content=STOPS, **right,
    )  # fmt: skip
    # read otherwise than it was imported, nothing of it is stored
    other = importer.events(STOPS, take_back=True, **{**wrong, "zone": "Europe/Berlin"})
    assert (other.removed, other.understood.removes, len(importer.plant.readings.events)) == (
        0,
        0,
        2,
    )
    removed = importer.events(STOPS, take_back=True, **wrong)
    assert (removed.removed, removed.understood.removes, removed.new) == (2, 2, 0)
    assert importer.plant.readings.events == {}
    assert importer.plant.audit.entries[-1][1] == "events removed"
    importer.events(STOPS, **right)
    first = importer.plant.readings.events["a", "Stoerung_Band_3", SIX - timedelta(hours=1)]
    assert first.end - first.start == timedelta(minutes=30)
