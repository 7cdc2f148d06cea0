"""Cleaning of Airflow's rows and task logs, of what MLflow has marked as deleted, and of long logs:
with the real programs."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from alerting.adapters.mlflow.mlflow_registry import MlflowModels
from alerting.local import clean as module
from alerting.local.clean import clean, shorten
from alerting.settings.environment import Settings

pytestmark = pytest.mark.models
DAY = timedelta(days=1)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def environ(tmp_path):
    made = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ALERTING_", "AIRFLOW"))
    }
    made |= {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path / "logs" / "airflow"),
    }
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=made,
        check=True,
        capture_output=True,
    )
    return made


def test_a_command_that_does_not_end_is_ended_and_named(monkeypatch):
    monkeypatch.setattr(module, "LONGEST_S", 0.2)
    fault = module._run(
        "mlflow", ["timeit", "-n1", "-r1", "__import__('time').sleep(60)"], os.environ
    )
    assert fault.startswith("mlflow could not be cleaned: it took more than")


@pytest.mark.night
def test_old_rows_logs_and_deleted_models_are_gone_and_new_ones_stay(
    tmp_path, environ, monkeypatch
):
    with closing(sqlite3.connect(tmp_path / "airflow.db")) as airflow, airflow:
        for age in (1, 31, 400):
            stamp = f"{NOW - age * DAY:%Y-%m-%d %H:%M:%S.%f}"
            airflow.execute("INSERT INTO log (dttm, event) VALUES (?, ?)", (stamp, f"{age} days"))
    task_logs = tmp_path / "logs" / "airflow" / "dag_id=maintain"
    for age in (1, 40):
        log = task_logs / f"run_id={age}" / "attempt=1.log"
        log.parent.mkdir(parents=True)
        log.write_text("done")
        os.utime(log, ((NOW - age * DAY).timestamp(),) * 2)
    settings = Settings(home=tmp_path)
    models = MlflowModels(settings.mlflow_database, settings.mlflow_artifacts)
    settings.mlflow_artifacts.mkdir(parents=True)
    for name in ("in use", "old"):
        run = models.start_run("too-moist", name, {"definition": "too-moist"})
        models.log(run, files={"rows.bin": bytes(100_000)}, folder="dataset")
        models.register("too-moist", run, {"model.txt": b"tree"}, {"training_run": run})
    assert [
        s.documents for s in models.forget("too-moist", {1}, datetime.now(UTC) + DAY, dry=False)
    ] == [1, 1]
    monkeypatch.setattr(module, "_REMOVED_AFTER", "0s")

    assert clean(settings, environ, NOW) == []

    with closing(sqlite3.connect(tmp_path / "airflow.db")) as airflow:
        assert airflow.execute("SELECT event FROM log WHERE event LIKE '%days'").fetchall() == [
            ("1 days",)
        ]
    assert [log.parent.name for log in task_logs.rglob("*.log")] == ["run_id=1"]
    assert list(models.versions("too-moist")) == [1]
    assert models.model_files("too-moist", 1) == {"model.txt": b"tree"}
    assert sum(file.stat().st_size for file in settings.mlflow_artifacts.rglob("*.bin")) == 100_000


def test_a_program_that_fails_is_named_and_does_not_stop_the_rest(tmp_path):
    [fault] = clean(
        Settings(home=tmp_path, mlflow_uri="http://mlflow.example"),
        {"PATH": os.environ["PATH"], "AIRFLOW_HOME": "/dev/null/x"},
        NOW,
    )
    assert fault.startswith("airflow could not be cleaned: ")


def test_of_a_long_log_the_end_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_LOG", 100)
    monkeypatch.setattr(module, "SHORTENED_LOG", 10)
    log = tmp_path / "api.log"
    with log.open("ab") as writer:
        writer.write(b"x" * 95 + b"the end")
        writer.flush()
        shorten(log)
        writer.write(b"and on")
    assert (tmp_path / "api.log.1").read_bytes() == b"xxxthe end"
    assert log.read_bytes() == b"and on"
    shorten(log)
    assert log.read_bytes() == b"and on"
