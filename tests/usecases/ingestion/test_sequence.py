"""Rows without time stamps: their order, or the number of their unit, is their time."""

from datetime import UTC, datetime, timedelta

import pytest

from alerting.adapters.files.readings_and_events import EventsFile
from alerting.definitions.file_form import FileForm
from alerting.usecases.ingestion.tables import check_events
from tests.helpers.tables import NOW, Importer

MINUTE = timedelta(minutes=1)
SINCE = datetime(2000, 1, 1, tzinfo=UTC)
UNITS = "Teil;Drehmoment [Nm];Gut\n1;32,5;ja\n2;46,9;ja\n3;45,3;nein\n"


@pytest.fixture
def importer(tmp_path):
    return Importer(tmp_path, asset="press-1", sequence=MINUTE)


def torque(importer, asset="press-1"):
    return {
        (ts - SINCE) / MINUTE: values["Drehmoment"]
        for (name, ts), values in importer.plant.readings.values.items()
        if name == asset
    }


def test_rows_are_one_step_apart_as_the_check_says_and_a_longer_file_adds_its_new_rows(importer):
    result = importer.readings(UNITS)
    understood = result.understood
    assert understood.form.time_format == "rows in order, 1m apart from 2000-01-01T00:00:00Z"
    assert (understood.first, understood.last) == (SINCE, SINCE + 2 * MINUTE)
    assert (result.new, torque(importer)) == (3, {0: 32.5, 1: 46.9, 2: 45.3})
    assert importer.readings(UNITS).new == 0
    assert importer.readings(UNITS + "4;50,0;ja\n").new == 1
    assert torque(importer) == {0: 32.5, 1: 46.9, 2: 45.3, 3: 50.0}


def test_another_file_is_refused_with_the_start_that_continues_and_goes_on_there(importer):
    importer.readings(UNITS)
    other = {"sequence": 2 * MINUTE, "only": ("Drehmoment [Nm]",)}
    importer.expect_refusal("2m apart", content=UNITS, **other)
    following = "Teil;Drehmoment [Nm];Gut\n4;20,5;nein\n5;21,9;nein\n"
    told = importer.refusal(following)
    start = told.split("add --start ")[1].split(";")[0]
    assert (start.startswith("2000-01-01T00:03:00"), "Nothing was written" in told) == (True, True)
    assert [importer.readings(following, start=start).new for _ in range(2)] == [2, 0]
    assert torque(importer) == {0: 32.5, 1: 46.9, 2: 45.3, 3: 20.5, 4: 21.9}


def test_rows_are_counted_for_each_asset_and_over_all_chunks(importer, monkeypatch):
    rows = (
        "asset;Drehmoment [Nm]\npress-1;1,5\npress-2;2,5\npress-1;3,5\npress-2;4,5\npress-2;5,5\n"
    )
    importer.readings(rows, asset=None)
    assert torque(importer) == {0: 1.5, 1: 3.5}
    assert torque(importer, "press-2") == {0: 2.5, 1: 4.5, 2: 5.5}
    monkeypatch.setattr("alerting.adapters.files.chunks.BLOCK_BYTES", 1000)
    lines = "".join(f"{i},5;1\n" for i in range(1000))
    long = importer.alone(f"Drehmoment [Nm];x\n{lines}")
    assert torque(long) == {i: i + 0.5 for i in range(1000)}


def test_labels_in_a_file_of_their_own_join_their_units_by_number(importer):
    importer.readings(UNITS, time="Teil")
    result = importer.readings("Teil;Note\n3;5\n1;2\n", time="Teil")
    time_format = result.understood.form.time_format
    assert time_format.startswith("units by their number in 'Teil', 1m apart")
    assert [(row.get("Note"), row["Gut"]) for row in importer.rows.values()] == [
        (2.0, "ja"),
        (None, "ja"),
        (5.0, "nein"),
    ]
    told = "'1,5' is not the number of a unit: a whole number, counted from 1"
    importer.expect_refusal(told, content="Teil;Note\n1,5;5\n", time="Teil")


def test_complaints_name_their_units_and_are_known_after_their_delay(importer):
    importer.readings(UNITS, time="Teil")
    path = importer.file("Teil;bis\n2;3\n")
    form = FileForm(
        asset="press-1", sequence=MINUTE, time="Teil", event_type="complaint", end_column="bis"
    )
    source = EventsFile(path, form)
    check_events(source, importer.plant, delay=timedelta(days=14)).write(now=NOW, actor="me")
    (complaint,) = importer.plant.assets.event_types()
    assert (complaint.duration, complaint.delay) == ("lasting", timedelta(days=14))
    stored = [(e.start, e.end) for e in importer.plant.readings.events.values()]
    assert stored == [(SINCE + MINUTE, SINCE + 2 * MINUTE)]
    check_events(source, importer.plant).write(now=NOW, actor="me")
    assert importer.plant.assets.event_types() == [complaint]


def test_a_start_is_local_time_of_the_plant_and_must_be_an_instant(importer):
    result = importer.readings(UNITS, start="2026-01-05 06:00", zone="Europe/Berlin")
    assert result.understood.first == datetime(2026, 1, 5, 5, tzinfo=UTC)
    told = "--start 'monday' is not an instant; write for example"
    importer.expect_refusal(told, content=UNITS, start="monday")
