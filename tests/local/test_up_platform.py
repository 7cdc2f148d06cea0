"""`alerting up` for real: MongoDB, MLflow, Airflow, the API and the demo line, in a home of their
own, on free ports.

The demo line has two weeks of past instead of thirty days, and a short search for its model.
"""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
import urllib.parse
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import httpx
import psutil
import pytest
import yaml
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from alerting.local.airflow_client import AirflowClient
from alerting.local.demo import EXAMPLES, fill_up
from alerting.settings.machine import is_free
from tests.support import free_port, require_real_server

pytestmark = [pytest.mark.server, pytest.mark.timeout(3600)]
HANG_S = 600.0  # a step that takes so long, also beside much other work, hangs
PORTS = ("MONGODB", "MLFLOW", "AIRFLOW", "API")
DAYS = 14
MODEL = "biscuits-too-moist"
SHORT = {"trials": 1, "folds": 2, "candidates": ["logistic_regression", "lightgbm"]}


class Up:
    """One home with its ports, and the `alerting up` that runs on it now."""

    def __init__(self, home, commands):
        self.home = home
        self.commands = commands
        self.ports = {name: free_port() for name in PORTS}
        self.environ = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith("ALERTING_")
            },
            **{f"ALERTING_{name}_PORT": str(port) for name, port in self.ports.items()},
            "ALERTING_HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "ALERTING_DEMO_SPEED": "240",
        }
        self.process = None
        self.http = httpx.Client(trust_env=False, timeout=HANG_S)

    def start(self):
        self.output = self.home / f"output-{time.monotonic_ns()}"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                self.command("up"),
                env=self.environ,
                stdin=subprocess.DEVNULL,  # a question would get no answer
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def command(self, *words):
        return [sys.executable, "-c", "from alerting.cli.main import main; main()", *words]

    def run(self, *words):
        done = self.commands.run(*words, environ=self.environ, timeout=HANG_S)
        return done.returncode, done.stdout + done.stderr

    def fill(self):
        """Give the home a past of the line, and the definition that is trained first."""
        assert self.run("prepare")[0] == 0
        with patch.dict(os.environ, self.environ):
            fill_up(DAYS, only=["oven-too-hot"])
        document = yaml.safe_load((EXAMPLES / f"{MODEL}.yaml").read_text(encoding="utf-8"))
        file = self.home / "definition.json"
        file.write_text(json.dumps(document | {"learning": SHORT}), encoding="utf-8")
        assert self.run("apply", str(file))[0] == 0

    def said(self):
        return self.output.read_text()

    def wait_for(self, words):
        self.wait_until(lambda: words in self.said(), f"{words!r} was not said")

    def wait_until(self, true, otherwise):
        """Wait for one step."""
        deadline = time.monotonic() + HANG_S
        while not true():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, f"{otherwise} within {HANG_S} s:\n{self.said()}"
            time.sleep(0.2)

    def follow_until(self, words):
        """Wait for words; every line that is said before them is a step."""
        while words not in (said := self.said()):
            self.wait_until(
                lambda said=said: self.said() != said,
                f"no step after the last, and {words!r} was not said",
            )

    def processes(self):
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if is_alive(child)]

    def of_processes(self, read):
        """Return what is read of each process; one that ends meanwhile is left out."""
        found = []
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                found.append(read(process))
        return found

    def logs(self):
        """Return all logs. A folder that is removed meanwhile is left out."""
        return [
            Path(folder, name)
            for folder, _, names in os.walk(self.home)
            for name in names
            if name.endswith(".log")
        ]

    def port(self, name):
        return self.ports[name]

    def secret(self, name):
        return json.loads((self.home / "secrets" / name).read_text())

    def word(self, path):
        return (self.home / path).read_text().strip()

    def get(self, path):
        (token,) = (
            t for t, owner in self.secret("api_tokens.json").items() if owner["role"] == "operator"
        )
        headers = {"Authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{self.port('API')}/api/v1{path}"
        return self.http.get(url, headers=headers).raise_for_status().json()

    def episodes(self):
        """Return the raise of each episode, by id."""
        return {episode["id"]: episode["raised_at"] for episode in self.get("/episodes")["items"]}

    def airflow(self):
        return AirflowClient(
            f"http://127.0.0.1:{self.port('AIRFLOW')}",
            self.secret("airflow_passwords.json")["admin"],
        )


def is_alive(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ended(processes, patience=HANG_S):
    """Return whether all processes have ended in time."""
    _, alive = psutil.wait_procs(processes, timeout=patience)
    return [process.cmdline() for process in alive if is_alive(process)] == []


@pytest.fixture(scope="module")
def up(tmp_path_factory, commands):
    require_real_server()
    started = Up(tmp_path_factory.mktemp("home"), commands)
    started.fill()
    try:
        started.start()
        started.follow_until("demo-line is ready")
        yield started
    finally:
        everything = started.processes()
        started.process.send_signal(signal.SIGTERM)
        code = started.process.wait(HANG_S)
    assert ended(everything)
    assert code == 0


def test_the_first_start_ends_with_a_champion_an_example_of_every_kind_and_a_known_database(up):
    assert "biscuits-too-moist: version 1 is champion" in up.said()
    up.wait_until(lambda: len(up.get("/definitions")) == 5, "an example is missing")
    kinds = {one["kind"] for one in up.get("/definitions")}
    assert kinds == {"classifier", "threshold", "forecast", "control_chart", "anomaly"}
    address = re.search(r"mongodb://\S+", up.said())[0]
    user = re.search(r"user (\w+), password in (\S+)", up.said())
    with MongoClient(address, username=user[1], password=up.word(user[2])) as client:
        assert client["alerting"]["definition_revisions"].count_documents({}) > 0


def test_what_to_open_first_signs_in_once(up):
    link = re.search(r"Open this first: (http://127\.0\.0\.1:\S+)", up.said())[1]
    with httpx.Client(trust_env=False, timeout=HANG_S) as browser:
        assert browser.get(link).status_code == 200
        page = browser.get(f"http://127.0.0.1:{up.port('API')}/")
        assert page.status_code == 200
        assert "backfilled" in page.text or "past" in page.text  # the unseen days
    assert httpx.get(link, trust_env=False, timeout=HANG_S).status_code == 410
    code = link.rpartition("/")[2].encode()
    assert [file for file in up.logs() if code in file.read_bytes()] == []


def test_the_unseen_days_fill_list_figures_and_reports_and_nothing_is_sent(up):
    assert re.search(
        r"unseen days evaluated in \d+ s: [1-9]\d* episodes, marked as past, without notifications",
        up.said(),
    )
    past = [e for e in up.get("/episodes?limit=200")["items"] if e["backfilled"]]
    assert past
    assert all(up.get(f"/episodes/{e['id']}")["notifications"] == [] for e in past[:3])
    assert up.get("/reports")
    assert up.get("/kpi?past=true")["kpis"]["alarms"] >= len(past)


def test_nothing_listens_but_on_the_loopback_address(up):
    listening = [
        connection.laddr
        for connections in up.of_processes(lambda process: process.net_connections(kind="inet"))
        for connection in connections
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert set(up.ports.values()) <= {address.port for address in listening}


def test_other_users_of_the_machine_are_let_in_nowhere(up):
    stranger = MongoClient("127.0.0.1", up.port("MONGODB"), directConnection=True)
    with stranger, pytest.raises(OperationFailure, match="requires authentication"):
        stranger["alerting"]["definitions"].find_one()
    doors = {
        "MLFLOW": "/api/2.0/mlflow/experiments/get?experiment_id=0",
        "AIRFLOW": "/api/v2/dags",
        "API": "/api/v1/episodes",
    }
    for name, path in doors.items():
        assert up.http.get(f"http://127.0.0.1:{up.port(name)}{path}").status_code == 401, name
    assert stat.S_IMODE(up.home.stat().st_mode) == 0o700


def test_no_secret_stands_where_others_may_read_it_or_in_a_log(up):
    secrets = [
        up.word(name) for name in ("mongod/password", "mongod/keyfile", "secrets/mlflow_password")
    ]
    quoted = [urllib.parse.quote(secret, safe="") for secret in secrets]
    commands = "\n".join(up.of_processes(lambda process: " ".join(process.cmdline())))
    logs = up.logs()
    assert len(logs) > 5
    for secret in {*secrets, *quoted}:
        assert secret not in commands
        assert [path for path in logs if secret in path.read_text(errors="replace")] == []
    for word in ("mongod/password", "mongod/keyfile"):
        assert up.word(word) not in up.said()


def test_the_dags_run_green_in_the_scheduler_and_the_model_raises_an_episode_with_reasons(up):
    airflow = up.airflow()

    def succeeded(dag):
        runs = airflow.runs(dag)
        assert "failed" not in {run["state"] for run in runs}, runs
        return any(run["state"] == "success" for run in runs)

    def raised():
        return up.get("/episodes?definition=biscuits-too-moist")["items"]

    for dag in ("train__biscuits-too-moist", "evaluate__1m", "maintain"):
        up.wait_until(lambda dag=dag: succeeded(dag), f"{dag} did not succeed")
    up.wait_until(raised, "no episode was raised")
    assert up.get(f"/episodes/{raised()[0]['id']}")["contributions"]


def test_a_second_up_on_the_same_home_or_the_same_ports_is_refused_before_anything_is_started(
    up, tmp_path
):
    code, output = up.run("up")
    assert (code, "already runs" in output) == (1, True)
    environ = {**up.environ, "ALERTING_HOME": str(tmp_path / "other")}
    done = up.commands.run("up", environ=environ, timeout=HANG_S)
    assert done.returncode == 1
    taken = [f"port {up.port(name)} is taken" in done.stdout for name in PORTS]
    assert taken == [True] * len(PORTS)
    assert not (tmp_path / "other" / "logs").exists()


def test_a_killed_database_is_back_in_seconds_with_what_it_had(up):
    before = up.episodes()
    named = up.of_processes(lambda process: (process.name(), process))
    (server,) = (process for name, process in named if name == "mongod")
    server.kill()
    up.wait_for("mongod stopped (killed by SIGKILL), starting again in 1 s")
    up.wait_for("mongod runs again")
    assert before.items() <= up.episodes().items()


def test_killing_up_leaves_nothing_behind_and_the_next_start_finds_everything(up):
    everything = up.processes()
    before = up.episodes()
    up.process.kill()
    up.process.wait()
    assert ended(everything)
    assert all(is_free(port) for port in up.ports.values())
    up.start()
    up.follow_until("demo-line is ready")
    assert "the first question has been trained before" in up.said()
    after = up.episodes()
    assert before.items() <= after.items()
    assert len(set(after.values())) == len(after)  # none twice
