"""Imports that were wrong, taken back with their files."""

from datetime import timedelta

from alerting.ports import ReadingRow
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.helpers.tables import NOW, SIX

LINES = """time;Ofen;T
01.01.2015 06:00;a;200,5
01.01.2015 06:01;a;201,5
01.01.2015 06:01;b;77,0
"""
COLUMNS = {"asset_column": "Ofen", "decimal": ","}


def test_what_was_imported_is_removed_and_may_be_imported_rightly(importer):
    importer.readings(LINES, zone="UTC", **COLUMNS)
    # read otherwise than it was imported, nothing of it is stored
    other = importer.readings(LINES, take_back=True, zone="Europe/Berlin", **COLUMNS)
    assert (other.removed, other.understood.removes, len(importer.values)) == (0, 0, 3)
    assert importer.plant.audit.entries[-1][1] == "readings imported"
    removed = importer.readings(LINES, take_back=True, zone="UTC", **COLUMNS)
    assert (removed.removed, removed.understood.removes, removed.new) == (3, 3, 0)
    assert importer.values == {}
    assert importer.plant.audit.entries[-1][1] == "readings removed"
    entries = [*importer.plant.audit.entries]
    again = importer.readings(LINES, take_back=True, zone="UTC", **COLUMNS)
    assert (again.rows, again.removed, importer.plant.audit.entries) == (3, 0, entries)
    importer.readings(LINES, zone="Europe/Berlin", **COLUMNS)
    assert importer.values["a", timedelta(hours=-1)] == {"T": 200.5}


def test_values_that_another_file_has_replaced_stay(importer):
    importer.readings(LINES, zone="UTC", **COLUMNS)
    importer.readings(LINES.replace("201,5", "300"), zone="UTC", **COLUMNS)
    assert importer.readings(LINES, take_back=True, zone="UTC", **COLUMNS).removed == 2
    assert importer.plant.readings.values == {("a", SIX + timedelta(minutes=1)): {"T": 300.0}}
    # with the assets and variables that the files declared
    assert sorted(importer.plant.assets.known) == ["a", "b"]


def test_what_changes_between_check_and_removal_is_not_removed(importer):
    importer.readings(LINES, zone="UTC", **COLUMNS)
    checked = importer.check(LINES, take_back=True, zone="UTC", **COLUMNS)
    other = ReadingRow("a", SIX + timedelta(minutes=1), {"T": 300.0})
    add_readings(importer.plant, [other], NOW)
    removed = checked.write(now=NOW, actor="me")
    assert (removed.understood.removes, removed.removed) == (3, 2)
