"""Ends of events that an import might take for an attribute."""

from datetime import timedelta

from tests.helpers.tables import SIX

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


def test_stamps_that_are_no_ends_stay_attributes_once_the_types_are_instant(importer):
    for duration in ("instant", None):
        importer.events(STOPS, TYPES, duration, **COLUMNS)
        first = importer.plant.readings.events["a", "Stoerung_Band_3", SIX]
        assert (first.end, first.attributes) == (SIX, {"Ende": "01.01.2015 06:30"})
