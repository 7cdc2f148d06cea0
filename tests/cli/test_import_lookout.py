"""`alerting import lookout`: folders of datasets as Amazon Lookout for Equipment reads them."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml

from alerting import wiring
from alerting.ports import EventRow
from tests.helpers.command_line import output, run, write
from tests.in_memory_platform import in_memory_platform

START = datetime(2024, 3, 1, tzinfo=UTC)
SENSORS = {"pump": ("Flow", "Temperature", "Vibration"), "fan": ("Speed", "Temperature")}
VARIABLES = ["Flow", "Speed", "Vibration", "fan_Temperature", "pump_Temperature"]
LABELS = "".join(
    f"2024-03-{day:02}T06:00:00.000000,2024-03-{day + 1:02}T12:30:00.000000\n"
    for day in (9, 16, 24)
)
IMPORT = ("import", "lookout", "data", "--asset", "unit-7")


@pytest.fixture
def plant(monkeypatch, tmp_path):
    made = in_memory_platform()

    @contextmanager
    def opened(*_, **__):
        yield made

    monkeypatch.setattr(wiring, "open_platform", opened)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALERTING_TIMEZONE", "Europe/Berlin")  # without effect: stamps are UTC
    return made


def table(titles, start, rows, stamp="%Y-%m-%dT%H:%M:%S.%f"):
    """Return a file of sensors, a row each ten minutes."""
    random = np.random.default_rng(len(titles))
    lines = [",".join(("Timestamp", *titles))]
    for row, values in enumerate(random.normal(50, 1, (rows, len(titles))).round(3).tolist()):
        at = start + timedelta(minutes=10 * row)
        lines.append(",".join((at.strftime(stamp), *map(str, values))))
    return "\n".join(lines) + "\n"


def write_file(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return write(path, text)


def stored(plant):
    asset = plant.assets.get("unit-7")
    return plant.readings.load(asset, None, None)


def test_a_dataset_with_labels_and_inputs_of_a_scheduler_becomes_an_alert_that_is_applied(plant):
    for component, titles in SENSORS.items():
        write_file(
            f"data/training-data/expanded/{component}/{component}.csv", table(titles, START, 4320)
        )
        later = table(titles, START + timedelta(days=30), 3, "%Y-%m-%d %H:%M:%S")
        write_file(f"data/inference-data/input/{component}_20240331000000.csv", later)
    write_file("data/label-data/labels.csv", LABELS)
    assert "nothing was written" in output(*IMPORT, "--dry-run", "--write", "alert.yaml")
    assert (plant.assets.all(), Path("alert.yaml").exists()) == ([], False)
    out = output(*IMPORT, "--write", "alert.yaml")
    assert "8,646 new of 8,646 readings" in out
    assert "3 new of 3 events" in out
    history = stored(plant)
    assert sorted(history.readings.columns) == VARIABLES
    assert [history.readings.index[0], history.readings.index[-1]] == [
        START,
        START + timedelta(days=30, minutes=20),
    ]
    assert history.events[["type", "start", "end"]].iloc[0].tolist() == [
        "anomaly_label",
        START + timedelta(days=8, hours=6),
        START + timedelta(days=9, hours=12, minutes=30),
    ]
    alert = yaml.safe_load(Path("alert.yaml").read_text(encoding="utf-8"))
    assert alert["problem"] == {"event": "anomaly_label", "predict": "state"}
    assert alert["normal"] == {
        "from": "2024-03-01T00:00:00+00:00",
        "to": "2024-03-25T00:16:00+00:00",
    }
    plant.clock.instant = START + timedelta(days=40)
    assert "unit-7-unlike-normal" in output("check", "alert.yaml")
    output("apply", "alert.yaml")
    assert "0 new of 8,646 readings" in output(*IMPORT)


WIDE = table(("Sensor 1", "Sensor 2"), START, 144)
ONE = table(("Sensor 1",), START, 144)
LATER = table(("Sensor 1",), START + timedelta(days=31), 144)
MONTH_FIRST = "3/2/2024 0:00,3/3/2024 0:00,pump,F-12,seal leaks\n"
SCHEDULES = ("pump-2024-03-01-00-00-00", "fan 1709251200", "mill1709251200", "belt_20240301000000")
FORMS = {
    "one file with all sensors": ({"all.csv": WIDE}, {"Sensor_1", "Sensor_2"}),
    "a file for each sensor": (
        {"a/S1/S1.csv": table(("S1",), START, 9), "a/S2/S2.csv": table(("S2",), START, 9)},
        {"S1", "S2"},
    ),
    "a component in two files": ({"pump/a.csv": ONE, "pump/b.csv": LATER}, {"Sensor_1"}),
    "every name of a scheduler": (
        {f"{name}.csv": ONE for name in SCHEDULES},
        {f"{name}_Sensor_1" for name in ("pump", "fan", "mill", "belt")},
    ),
    "no hidden files": ({"all.csv": ONE, ".ipynb_checkpoints/all.csv": "x"}, {"Sensor_1"}),
}


@pytest.mark.parametrize(("files", "variables"), FORMS.values(), ids=FORMS)
def test_every_form_of_a_dataset_is_read_as_it_is(plant, files, variables):
    for name, text in files.items():
        write_file(f"data/{name}", text)
    answer = json.loads(output(*IMPORT, "--json"))
    assert set(stored(plant).readings.columns) == variables
    assert answer["readings"]["new"] == answer["readings"]["rows"] > 0
    assert "problem" not in answer["definition"]


def test_a_sensor_keeps_the_name_with_its_component_in_a_later_import(plant):
    write_file("data/pump/a.csv", ONE)
    write_file("data/fan/a.csv", ONE)
    output(*IMPORT)
    write_file("later/pump_20240401000000.csv", LATER)
    output("import", "lookout", "later", "--asset", "unit-7")
    assert stored(plant).readings.count().to_dict() == {
        "fan_Sensor_1": 144,
        "pump_Sensor_1": 288,
    }


def test_labels_may_have_more_columns_and_stamps_that_need_a_format(plant):
    write_file("data/all.csv", WIDE)
    write_file("ranges.csv", MONTH_FIRST)
    words = (*IMPORT, "--labels", "ranges.csv")
    assert "--time-format mm/dd/yyyy" in run(*words).stderr
    output(*words, "--time-format", "mm/dd/yyyy")
    label = EventRow("unit-7", "anomaly_label", START + timedelta(days=1), None, "import")
    [event] = plant.reading_writes.stored_events([label])
    assert event.attributes == {"equipment": "pump", "fault_code": "F-12", "notes": "seal leaks"}


REFUSED = {
    "a bad stamp": ({"b/b.csv": ONE.replace("-01T05", "-32T05")}, "data/b/b.csv was not imported"),
    "an empty file": ({"b/b.csv": ""}, "data/b/b.csv"),
    "one sensor twice": ({"b.csv": ONE, "c/d.csv": ONE, "c/e.csv": ONE}, "data/c/e.csv: holds"),
    "two sites": (
        {"b/pump_20240301000000.csv": ONE, "c/pump_20240301000000.csv": ONE},
        "data/c/pump_20240301000000.csv: holds Sensor 1 at times",
    ),
    "two types": (
        {"a/b.csv": "Timestamp,Sensor 1\n2025-01-01,low\n2025-01-02,high\n"},
        "data/a/b.csv: Sensor 1 is a category, but a number in data/a/a.csv",
    ),
    "unnamed labels": ({"b/ranges.csv": LABELS}, "give it with --labels"),
    "labels twice": ({"labels.csv": LABELS, "b/labels.csv": LABELS}, "name one with --labels"),
    "one stamp a line": ({"labels.csv": "2024-03-02\n"}, "holds start and end"),
}


@pytest.mark.parametrize(("files", "reason"), REFUSED.values(), ids=REFUSED)
def test_one_faulty_file_refuses_the_folder_by_its_name(plant, files, reason):
    for name, text in {"a/a.csv": ONE, **files}.items():
        write_file(f"data/{name}", text)
    done = run(*IMPORT, columns=300)
    assert (done.exit_code, reason in done.stderr, plant.assets.all()) == (1, True, []), done.stderr
