"""`alerting import lookout`: folders of datasets as Amazon Lookout for Equipment reads them."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml

from alerting import wiring
from tests.helpers.command_line import output, write
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


def put(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return write(path, text)


def stored(plant):
    asset = plant.assets.get("unit-7")
    return plant.readings.load(asset, None, None)


def test_a_dataset_with_labels_and_inputs_of_a_scheduler_becomes_an_alert_that_is_applied(plant):
    for component, titles in SENSORS.items():
        put(f"data/training-data/expanded/{component}/{component}.csv", table(titles, START, 4320))
        later = table(titles, START + timedelta(days=30), 3, "%Y-%m-%d %H:%M:%S")
        put(f"data/inference-data/input/{component}_20240331000000.csv", later)
    put("data/label-data/labels.csv", LABELS)
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
        "to": "2024-03-31T00:20:00+00:00",
    }
    plant.clock.instant = START + timedelta(days=40)
    assert "unit-7-unlike-normal" in output("check", "alert.yaml")
    output("apply", "alert.yaml")
    assert "0 new of 8,646 readings" in output(*IMPORT)
