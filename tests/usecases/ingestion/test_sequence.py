"""Rows without time stamps: their order, or the number of their unit, is their time."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from alerting.adapters.files.events import EventColumns, EventsFile
from alerting.adapters.files.readings import ReadingsFile
from alerting.adapters.files.rows import Layout
from alerting.definitions.faults import UserError
from alerting.usecases.ingestion.tables import check_events, check_readings
from tests.helpers.tables import NOW
from tests.in_memory_platform import in_memory_platform

MINUTE = timedelta(minutes=1)
SINCE = datetime(2000, 1, 1, tzinfo=UTC)
UNITS = "Teil;Drehmoment [Nm];Gut\n1;32,5;ja\n2;46,9;ja\n3;45,3;nein\n"


@pytest.fixture
def plant():
    return in_memory_platform()


@pytest.fixture
def imported(plant, tmp_path):
    def run(content, name="file.csv", **layout):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        source = ReadingsFile(path, Layout(**({"asset": "press-1", "sequence": MINUTE} | layout)))
        checked = check_readings(source, plant)
        return checked.understood, checked.write(now=NOW, actor="me")

    return run


def torque(plant, asset="press-1"):
    readings = plant.readings.load(plant.assets.get(asset), None, None).readings
    return {
        (at.to_pydatetime() - SINCE) / MINUTE: value for at, value in readings["Drehmoment"].items()
    }


def test_rows_of_a_european_file_are_one_step_apart_and_the_check_says_so(plant, imported):
    understood, result = imported(UNITS)
    assert understood.form.time_format == "rows in order, 1m apart from 2000-01-01T00:00:00Z"
    assert (understood.first, understood.last) == (SINCE, SINCE + 2 * MINUTE)
    assert (result.new, torque(plant)) == (3, {0: 32.5, 1: 46.9, 2: 45.3})


def test_the_same_file_again_changes_nothing_and_a_longer_one_adds_its_new_rows(plant, imported):
    imported(UNITS)
    assert imported(UNITS)[1].new == 0
    assert imported(UNITS + "4;50,0;ja\n")[1].new == 1
    assert torque(plant) == {0: 32.5, 1: 46.9, 2: 45.3, 3: 50.0}


def test_another_file_is_refused_with_the_start_that_continues_and_goes_on_there(plant, imported):
    imported(UNITS)
    following = "Teil;Drehmoment [Nm];Gut\n4;20,5;nein\n5;21,9;nein\n"
    with pytest.raises(UserError, match="add --start 2000-01-01T00:03:00") as refusal:
        imported(following)
    assert "Nothing was written" in str(refusal.value)
    start = str(refusal.value).split("--start ")[1].split(";")[0]
    assert imported(following, start=start)[1].new == 2
    assert imported(following, start=start)[1].new == 0
    assert torque(plant) == {0: 32.5, 1: 46.9, 2: 45.3, 3: 20.5, 4: 21.9}


def test_another_step_is_refused(imported):
    imported(UNITS)
    with pytest.raises(UserError, match="2m apart"):
        imported(UNITS, sequence=2 * MINUTE, only=("Drehmoment [Nm]",))


def test_rows_are_counted_for_each_asset(plant, imported):
    rows = (
        "asset;Drehmoment [Nm]\npress-1;1,5\npress-2;2,5\npress-1;3,5\npress-2;4,5\npress-2;5,5\n"
    )
    imported(rows, asset=None)
    assert torque(plant) == {0: 1.5, 1: 3.5}
    assert torque(plant, "press-2") == {0: 2.5, 1: 4.5, 2: 5.5}


def test_rows_are_counted_over_all_chunks(plant, imported, monkeypatch):
    monkeypatch.setattr("alerting.adapters.files.tables.text.BLOCK_BYTES", 1000)
    imported("Drehmoment [Nm];x\n" + "".join(f"{i},5;1\n" for i in range(1000)))
    assert torque(plant) == {i: i + 0.5 for i in range(1000)}


def test_labels_in_a_file_of_their_own_join_their_units_by_number(plant, imported):
    imported(UNITS, time="Teil")
    understood, result = imported("Teil;Note\n3;5\n1;2\n", name="labor.csv", time="Teil")
    assert understood.form.time_format.startswith("units by their number in 'Teil', 1m apart")
    history = plant.readings.load(plant.assets.get("press-1"), None, None).readings
    assert (result.new, history["Note"].dropna().tolist()) == (2, [2.0, 5.0])
    assert history["Gut"].notna().sum() == 3
    with pytest.raises(
        UserError, match="'1,5' is not the number of a unit: a whole number, counted from 1"
    ):
        imported("Teil;Note\n1,5;5\n", name="labor.csv", time="Teil")


def test_complaints_name_their_units_and_are_known_after_their_delay(plant, imported, tmp_path):
    imported(UNITS, time="Teil")
    path = tmp_path / "complaints.csv"
    path.write_text("Teil;bis\n2;3\n")
    layout = Layout(asset="press-1", sequence=MINUTE, time="Teil")
    source = EventsFile(path, layout, EventColumns(type="complaint", end_column="bis"))
    check_events(source, plant, delay=timedelta(days=14)).write(now=NOW, actor="me")
    (complaint,) = plant.assets.event_types()
    assert (complaint.duration, complaint.delay) == ("lasting", timedelta(days=14))
    events = plant.readings.load(plant.assets.get("press-1"), None, None).events
    assert list(events["start"]) == [pd.Timestamp(SINCE + MINUTE)]
    assert list(events["end"]) == [pd.Timestamp(SINCE + 2 * MINUTE)]
    check_events(source, plant).write(now=NOW, actor="me")
    assert plant.assets.event_types() == [complaint]


def test_a_start_is_local_time_of_the_plant_and_must_be_an_instant(imported):
    understood, _ = imported(UNITS, start="2026-01-05 06:00", zone="Europe/Berlin")
    assert understood.first == datetime(2026, 1, 5, 5, tzinfo=UTC)
    with pytest.raises(UserError, match="--start 'monday' is not an instant; write for example"):
        imported(UNITS, start="monday")
