"""`alerting up` for real: MongoDB, MLflow, Airflow, the API and the demo line, in a folder of their own, on free ports."""

import json
import os
import signal
import subprocess
import sys
import time

import httpx
import psutil
import pytest

from alerting.local.airflow_client import AirflowClient
from alerting.local.ports import is_free
from tests.support import free_port, require_real_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]
PORTS = ("MONGODB", "MLFLOW", "AIRFLOW", "API")


class Up:
    """One home with its ports, and the `alerting up` that runs on it now."""

    def __init__(self, home):
        self.home = home
        self.ports = {name: free_port() for name in PORTS}
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ALERTING_")},
            **{f"ALERTING_{name}_PORT": str(port) for name, port in self.ports.items()},
            "ALERTING_HOME": str(home),
            "ALERTING_DEMO_SPEED": "240",
        }
        self.process = None

    def start(self):
        self.output = self.home / f"output-{time.monotonic_ns()}"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(self.command("up"), env=self.environ, stdout=output, stderr=subprocess.STDOUT)

    def command(self, *words):
        return [sys.executable, "-c", "from alerting.cli import main; main()", *words]

    def run(self, *words):
        done = subprocess.run(self.command(*words), env=self.environ, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout + done.stderr

    def said(self):
        return self.output.read_text()

    def wait_for(self, words, patience):
        self.wait_until(lambda: words in self.said(), f"{words!r} was not said", patience)

    def wait_until(self, true, otherwise, patience):
        deadline = time.monotonic() + patience
        while not true():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, f"{otherwise} within {patience} s:\n{self.said()}"
            time.sleep(0.5)

    def processes(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def port(self, name):
        return self.ports[name]

    def secret(self, name):
        return json.loads((self.home / "secrets" / name).read_text())

    def get(self, path):
        (token,) = (t for t, owner in self.secret("api_tokens.json").items() if owner["role"] == "operator")
        headers = {"Authorization": f"Bearer {token}"}
        return (
            httpx.get(f"http://127.0.0.1:{self.port('API')}/api/v1{path}", headers=headers, timeout=30).raise_for_status().json()
        )

    def episodes(self):
        """When each of the episodes was raised, by id."""
        return {episode["id"]: episode["raised_at"] for episode in self.get("/episodes")["items"]}

    def airflow(self):
        return AirflowClient(f"http://127.0.0.1:{self.port('AIRFLOW')}", self.secret("airflow_passwords.json")["admin"])


def ended(processes, patience=40.0):
    """Whether all of them have ended in time."""
    _, alive = psutil.wait_procs(processes, timeout=patience)
    return [p.cmdline() for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    require_real_server()
    started = Up(tmp_path_factory.mktemp("home"))
    started.start()
    started.wait_for("demo-line is ready", 300)
    yield started
    everything = started.processes()
    started.process.send_signal(signal.SIGTERM)
    code = started.process.wait(60)
    assert ended(everything)
    assert code == 0


def test_the_first_start_ends_with_a_champion_and_running_lines(up):
    assert "biscuits-too-moist: version 1 is champion" in up.said()
    code, output = up.run("models", "biscuits-too-moist", "--json")
    assert code == 0
    assert "champion" in output


def test_addresses_and_credentials_are_shown_whole(up):
    for secret in (*up.secret("api_tokens.json"), up.secret("airflow_passwords.json")["admin"], *map(str, up.ports.values())):
        assert secret in up.said()


def test_nothing_listens_but_on_the_loopback_address(up):
    listening = [
        connection.laddr
        for process in up.processes()
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert set(up.ports.values()) <= {address.port for address in listening}


def test_the_dags_run_green_in_the_scheduler(up):
    airflow = up.airflow()

    def succeeded(dag):
        runs = airflow.runs(dag)
        assert "failed" not in {run["state"] for run in runs}, runs
        return any(run["state"] == "success" for run in runs)

    for dag in ("train__biscuits-too-moist", "evaluate__1m", "maintain"):
        up.wait_until(lambda dag=dag: succeeded(dag), f"{dag} did not succeed", 90)


def test_the_model_raises_an_episode_with_reasons_that_people_see_through_the_api(up):
    def raised():
        return up.get("/episodes?definition=biscuits-too-moist")["items"]

    up.wait_until(raised, "no episode was raised", 120)
    episode = up.get(f"/episodes/{raised()[0]['id']}")
    assert episode["contributions"]


def test_a_second_up_on_the_same_home_is_refused(up):
    code, output = up.run("up")
    assert code == 1
    assert "runs already" in output


def test_a_taken_port_is_refused_before_anything_is_started(up, tmp_path):
    environ = {**up.environ, "ALERTING_HOME": str(tmp_path / "other")}
    done = subprocess.run(up.command("up"), env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    for name in PORTS:
        assert f"port {up.port(name)} is taken" in done.stdout
        assert f"ALERTING_{name}_PORT" in done.stdout
    assert not (tmp_path / "other" / "logs").exists()


def test_a_killed_database_is_back_in_seconds_with_what_it_had(up):
    before = up.episodes()
    (server,) = (p for p in up.processes() if p.name() == "mongod")
    server.kill()
    up.wait_for("mongod stopped (killed by SIGKILL), starting again in 1 s", 20)
    up.wait_for("mongod runs again", 60)
    assert before.items() <= up.episodes().items()


def test_killing_up_leaves_nothing_behind_and_the_next_start_finds_everything(up):
    everything = up.processes()
    before = up.episodes()
    up.process.kill()
    up.process.wait()
    assert ended(everything)
    assert all(is_free(port) for port in up.ports.values())
    up.start()
    up.wait_for("demo-line is ready", 120)
    assert "every classifier has been trained before" in up.said()
    after = up.episodes()
    assert before.items() <= after.items()
    assert len(set(after.values())) == len(after)  # none twice
