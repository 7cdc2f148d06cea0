"""The path of the README over the client, on a platform that `alerting up` has started:
MongoDB, MLflow, Airflow, the stream service and the console, each for real.

A European file is imported, looked at, made into an alert, which is tried, applied and raised; a
model is trained in Airflow, approved, and reported on; the audit has it all.
"""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from alerting.client import ApiProblem, Client
from tests.helpers.dryer_file import DAYS, LIMIT, MODEL, dryer_file
from tests.support import free_port, require_real_server

pytestmark = [pytest.mark.server, pytest.mark.airflow, pytest.mark.timeout(1800)]
ALERTING = Path(sys.executable).parent / "alerting"
PORTS = ("MONGODB", "MLFLOW", "AIRFLOW", "API")
HANG_S = 600.0  # a step that takes so long, also beside much other work, hangs


class RunningPlatform:
    """A home of its own, and the `alerting up` that runs on it."""

    def __init__(self, home):
        self.home = home
        self.environ = {
            **{name: v for name, v in os.environ.items() if not name.startswith("ALERTING_")},
            **{f"ALERTING_{name}_PORT": str(free_port()) for name in PORTS},
            "ALERTING_HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
        }
        self.log = home / "output"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [ALERTING, "up", "--no-demo"],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_until_ready(self):
        def is_ready():
            assert self.process.poll() is None, self.log.read_text()
            return "Open this first" in self.log.read_text()

        wait_until(is_ready)

    def connect(self, role):
        """Return a client with the token of a role, as any program has it."""
        tokens = json.loads((self.home / "secrets" / "api_tokens.json").read_text())
        (token,) = (token for token, owner in tokens.items() if owner["role"] == role)
        return Client(f"http://127.0.0.1:{self.environ['ALERTING_API_PORT']}", token)

    def run(self, *words):
        command = [ALERTING, *words]
        return subprocess.run(
            command,
            env=self.environ,
            cwd=self.home,
            check=True,
            timeout=HANG_S,
            stdout=subprocess.PIPE,
            text=True,
        )

    def stop(self):
        """End it; returns its exit code and the processes that it left."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(HANG_S)
        _, alive = psutil.wait_procs(below, timeout=HANG_S)
        return code, alive


def wait_until(found):
    """Return the first true value; each call asks a platform that works meanwhile."""
    deadline = time.monotonic() + HANG_S
    while not (value := found()):
        assert time.monotonic() < deadline, f"nothing came within {HANG_S} s"
        time.sleep(0.5)
    return value


@pytest.fixture
def started(tmp_path):
    require_real_server()
    platform = RunningPlatform(tmp_path)
    try:
        platform.wait_until_ready()
        yield platform
    finally:
        code, left = platform.stop()
    assert (code, left) == (0, [])


@pytest.mark.night
def test_the_client_goes_the_whole_path_of_the_readme(started):
    with started.connect("engineer") as engineer:
        import_a_file(started, engineer)
        look_at_the_line(engineer)
        check_and_preview(engineer)
        seen = start_training(engineer)  # Airflow takes it up while the alert is waited for
        apply_and_answer_the_alert(engineer, started, lambda: look_at_training(engineer, seen))
        approve(engineer, seen)
        read_report_figures_and_audit(engineer, started)


def import_a_file(started, engineer):
    (started.home / "dryer.csv").write_bytes(dryer_file())
    done = started.run("import", "readings", "dryer.csv", "--asset", "dryer-1")
    assert f"{DAYS * 288:,} new of {DAYS * 288:,} readings" in done.stdout
    assert {v["name"] for v in engineer.iterate("list_variables", "dryer-1")} == {
        "feed_moisture",
        "product_moisture",
    }


def look_at_the_line(engineer):
    now = datetime.now(UTC)
    series = engineer.show_series(
        asset="dryer-1",
        variable=["feed_moisture", "product_moisture"],
        start=now - timedelta(days=7),
        end=now,
    )["series"]
    assert [one["variable"] for one in series] == ["feed_moisture", "product_moisture"]
    assert max(series[1]["high"]) > LIMIT["above"]


def check_and_preview(engineer):
    faulty = LIMIT | {"variable": "product_moistur"}
    (fault,) = engineer.check_definition(faulty)["faults"]
    assert fault["path"] == "variable"
    assert "product_moisture" in fault["hint"]
    with pytest.raises(ApiProblem) as refusal:
        engineer.apply_definition(LIMIT["name"], faulty, if_none_match="*")
    assert refusal.value.status == 422
    assert [(one["path"], one["hint"]) for one in refusal.value.faults] == [
        ("variable", fault["hint"])
    ]

    assert engineer.check_definition(LIMIT)["valid"]
    preview = engineer.start_preview({"definition": LIMIT})
    preview = wait_until(
        lambda: (
            found
            if (found := engineer.show_preview(preview["id"], wait=10))["state"] == "done"
            else None
        )
    )
    assert preview["result"]["episodes"] > 5


def start_training(engineer):
    """Ask for a model; returns the states of its training that were seen, so far none."""
    engineer.apply_definition(MODEL["name"], MODEL, if_none_match="*")
    engineer.start_training(MODEL["name"], {"reason": "a first model"})
    return set()


def look_at_training(engineer, seen):
    trainings = engineer.list_trainings(MODEL["name"])
    seen.add(trainings["state"])
    assert not any(one["failure"] for one in trainings["items"]), trainings


def apply_and_answer_the_alert(engineer, started, meanwhile):
    applied = engineer.apply_definition(
        LIMIT["name"], LIMIT, if_none_match="*", reason="wet product was returned"
    )
    assert (applied["revision"], applied["state"]) == (1, "active")
    reading = {"asset": "dryer-1", "values": {"product_moisture": 14.2}}
    engineer.send_readings({"ts": datetime.now(UTC).isoformat(), **reading})
    (episode,) = wait_until(
        lambda: meanwhile() or list(engineer.iterate("list_episodes", open=True))
    )
    assert (episode["definition"], episode["value"]) == (LIMIT["name"], 14.2)
    with started.connect("operator") as operator:
        answer = {"verdict": "true_alarm", "acted": True, "action": "slowed the belt"}
        assert operator.give_feedback(episode["id"], answer)["outcome"] == "hit"
        assert operator.acknowledge_episode(episode["id"])["acknowledged"]


def approve(engineer, seen):
    name = MODEL["name"]

    def proposed():
        look_at_training(engineer, seen)
        return engineer.show_models(name)["waiting"]

    waiting = wait_until(proposed)
    assert "training" in seen
    board = engineer.show_models(name)["leaderboard"]
    assert {line["family"] for line in board} == {"logistic_regression", "persistence"}
    decided = engineer.approve_model(name, {"run": waiting["run"]})
    assert (decided["version"], decided["promoted"]) == (1, True)
    (model,) = engineer.list_models()
    assert (model["state"], model["version"]) == ("serving", 1)
    with pytest.raises(ApiProblem, match="no champion before it") as refusal:
        engineer.roll_back(name, {"reason": "try the one before"})
    assert refusal.value.status == 422


def read_report_figures_and_audit(engineer, started):
    now = datetime.now(UTC)
    end = (now + timedelta(seconds=1)).isoformat()
    start = (now - timedelta(days=1)).isoformat()
    started.run("report", LIMIT["name"], "--from", start, "--to", end)
    (report,) = engineer.list_reports(definition=LIMIT["name"])
    assert engineer.show_report(report["id"]).startswith("<!DOCTYPE html>")
    assert engineer.show_report_metrics(report["id"])["tables"]
    assert engineer.show_alarm_metrics()["kpis"]["alarms"] == 1
    done = {(entry["what"], entry["subject"]) for entry in engineer.iterate("list_audit")}
    assert done >= {
        ("readings imported", "dryer.csv"),
        ("definition applied", LIMIT["name"]),
        ("definition applied", MODEL["name"]),
        ("promotion decided", MODEL["name"]),
    }
    with started.connect("viewer") as viewer, pytest.raises(ApiProblem) as refusal:
        next(viewer.iterate("list_audit"))
    assert refusal.value.status == 403
