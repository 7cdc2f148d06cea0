"""Trainings started over Airflow's REST API: signed in, each run once, and no harm from a server
that is not Airflow."""

import json
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from alerting.local import airflow_client as module
from alerting.local.airflow_client import AirflowClient, AirflowSilent, start_trainings
from alerting.ports import FixedClock
from alerting.settings.environment import Settings
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from tests.builders import at, oven, too_moist
from tests.in_memory_platform import memory_platform

pytestmark = pytest.mark.fast

PASSWORD = "of the home"
PATIENCE_S = 0.05


class Airflow:
    """The parts of Airflow's API that starting a run needs. `dags`: those that it has read."""

    def __init__(self, *dags):
        self.dags = dags
        self.runs = []
        self.address = ""

    def answer(self, path, sent, signed_in):
        if path == "/auth/token":
            return (
                (201, '{"access_token": "t"}')
                if sent == {"username": "admin", "password": PASSWORD}
                else (401, "{}")
            )
        dag = path.removeprefix("/api/v2/dags/").removesuffix("/dagRuns")
        if not signed_in:
            return 401, "{}"
        if dag not in self.dags:
            return 404, "{}"
        if sent["dag_run_id"] in self.runs:
            return 409, "{}"
        self.runs.append(sent["dag_run_id"])
        return 200, "{}"


class WrongServer(Airflow):
    """A server that answers every request with a page, such as a proxy's."""

    def answer(self, path, sent, signed_in):
        return 200, "<html>sign in</html>"


@contextmanager
def running(airflow):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, text = airflow.answer(
                self.path, sent, self.headers["Authorization"] == "Bearer t"
            )
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        airflow.address = f"http://127.0.0.1:{server.server_port}"
        yield airflow
        server.shutdown()


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(module, "_SHORT_PATIENCE_S", PATIENCE_S)
    monkeypatch.setattr("alerting.local.airflow_client.POLL_S", 0.01)


@pytest.fixture
def platform():
    made = replace(memory_platform(), clock=FixedClock(at(1)))
    made.assets.store_assets([oven()])
    apply(made, [too_moist()], "engineer", at(0), "test")
    return made


def settings(home, airflow, password=PASSWORD):
    (home / "secrets").mkdir(exist_ok=True)
    (home / "secrets" / "airflow_passwords.json").write_text(
        json.dumps({"admin": password}), encoding="utf-8"
    )
    return Settings(home, airflow_uri=airflow.address)


def test_a_due_training_is_started_once_and_its_page_is_named(platform, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SHORT_PATIENCE_S", 60.0)  # a busy machine may take long to answer
    with running(Airflow("train__too-moist")) as airflow:
        first, again = (start_trainings(settings(tmp_path, airflow), platform) for _ in range(2))
        (run,) = airflow.runs
    assert run.startswith("question-")
    assert first == again == {"too-moist": f"{airflow.address}/dags/train__too-moist/runs/{run}"}


def test_a_training_that_cannot_be_started_now_is_left_to_the_platform(platform, tmp_path):
    """The DAG is not read yet; a server that is not Airflow; a wrong password, and none."""
    for airflow in (Airflow(), WrongServer()):
        with running(airflow):
            assert start_trainings(settings(tmp_path, airflow), platform) == {}
    with running(Airflow("train__too-moist")) as airflow:
        assert start_trainings(settings(tmp_path, airflow, password="another"), platform) == {}
        (tmp_path / "secrets" / "airflow_passwords.json").write_text("[]", encoding="utf-8")
        assert start_trainings(Settings(tmp_path, airflow_uri=airflow.address), platform) == {}
    with pytest.raises(AirflowSilent):
        AirflowClient(airflow.address, PASSWORD, PATIENCE_S).start("train__too-moist", "a run")
