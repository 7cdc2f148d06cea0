"""What Airflow says about itself, read over its API: which DAGs are paused, why a run failed, and
which part is away."""

import json
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from alerting.local import airflow_client
from alerting.local.airflow_client import (
    AWAY_AFTER,
    AirflowClient,
    SchedulerReader,
    scheduler_reader,
)
from alerting.settings.environment import Settings
from alerting.usecases.health.scheduled_tasks import PARTS, FailedRun, SchedulerState
from tests.builders import at

pytestmark = pytest.mark.fast

PAGES = "http://localhost:8080"
INSIDE = {
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://airflow-api:8080/execution/",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": "FILE",
    "AIRFLOW__API__BASE_URL": "http://localhost:8080",
}
RAISED = [{"exc_type": "AttributeError", "exc_value": "no attribute 'what'\nand more"}]


class Airflow:
    """Airflow's API: the newest ended run of each DAG, and the log of its failed task."""

    def __init__(self):
        self.paused = []
        self.runs = {}  # state by DAG
        self.log = [{"event": "began"}, {"event": "Task failed", "error_detail": RAISED}]
        self.parts = {"scheduler": "healthy", "dag_processor": "healthy"}
        self.away = False
        self.has_logs = True
        self.stale = []
        self.is_recent = True  # of the failed runs
        self.asked = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused")
        path = request.url.path.removeprefix("/api/v2")
        self.asked.append(path)
        return httpx.Response(200, content=self._content(path, request.url.params))

    def _content(self, path: str, query: httpx.QueryParams) -> str:
        if "/logs/" in path:
            if not self.has_logs:
                raise httpx.ReadTimeout("the worker does not answer")
            assert query["map_index"] == "3"
            return "".join(f"{json.dumps(entry)}\n" for entry in self.log)
        return json.dumps(self._found(path, query))

    def _found(self, path: str, query: httpx.QueryParams) -> dict:
        if path == "/monitor/health":
            return {part: {"status": state} for part, state in self.parts.items()}
        if path == "/dags":
            assert query["paused"] == "true"
            return {"dags": [{"dag_id": dag} for dag in self.paused]}
        if path.endswith("/taskInstances"):
            return {"task_instances": [{"task_id": "delete", "try_number": 6, "map_index": 3}]}
        dag = path.split("/")[2]
        if path == f"/dags/{dag}":
            return {"dag_id": dag, "is_stale": dag in self.stale}
        runs = [
            {"dag_id": name, "dag_run_id": f"{name}-1", "state": state}
            for name, state in self.runs.items()
            if dag == name or (dag == "~" and state == "failed" and self.is_recent)
        ]
        return {"dag_runs": runs}


@pytest.fixture
def airflow() -> Airflow:
    return Airflow()


@pytest.fixture
def read(airflow) -> Callable[..., SchedulerState]:
    """Reads at a minute; `suspects`: DAGs that failed before."""
    clock = [at(0)]
    client = AirflowClient("http://airflow", "p", patience_s=0.01)
    client._http = httpx.Client(
        base_url="http://airflow", transport=httpx.MockTransport(airflow.answer)
    )
    reader = SchedulerReader(client, PAGES, lambda: clock[0])

    def read_at(minute, *suspects):
        clock[0] = at(minute)
        return reader.read(suspects)

    return read_at


def test_a_run_that_failed_is_told_until_a_later_one_has_succeeded(airflow, read):
    assert read(1) == SchedulerState(None, [], [])
    airflow.runs = {"retain": "failed", "maintain": "success"}
    log = f"{PAGES}/dags/retain/runs/retain-1/tasks/delete/mapped/3"
    failed = FailedRun("retain", "AttributeError: no attribute 'what'", log)
    assert read(2).failed == [failed]
    airflow.asked.clear()
    assert read(3, "retain").failed == [failed]
    assert not [path for path in airflow.asked if "/logs/" in path], "a log is read once"
    airflow.is_recent = False
    assert read(4, "retain").failed == [failed], "the run of three days ago is still the last one"
    airflow.runs = {"retain": "success"}
    assert read(5, "retain").failed == []


def test_a_worker_that_was_killed_leaves_no_exception_and_a_dag_that_is_gone_no_fault(
    airflow, read
):
    airflow.log = [{"event": "began"}]
    airflow.runs = {"retain": "failed"}
    [failed] = read(1, "gone").failed
    assert failed.reason is None


def test_airflow_runs_although_a_log_cannot_be_read(airflow, read):
    airflow.runs = {"retain": "failed"}
    airflow.has_logs = False
    assert read(1).failed is not None
    state = read(AWAY_AFTER / timedelta(minutes=1) + 2)
    assert state.away is None
    assert ["does not answer" in failed.reason for failed in state.failed] == [True]


def test_a_log_without_an_exception_in_its_error_is_no_silence_of_airflow(airflow, read):
    airflow.log = [{"error_detail": [{}]}]
    airflow.runs = {"retain": "failed"}
    assert [failed.reason for failed in read(1).failed] == [None]


def test_the_failed_run_of_a_source_or_cadence_that_is_gone_is_no_fault(airflow, read):
    airflow.runs = {"ingest__scada": "failed", "retain": "failed"}
    airflow.stale = ["ingest__scada"]
    assert [failed.dag for failed in read(1, "ingest__scada").failed] == ["retain"]


@pytest.mark.parametrize(
    ("is_started", "environ", "stated", "address"),
    [
        (True, {}, None, "http://127.0.0.1:8080"),
        (False, INSIDE, "https://plant.example/airflow", "http://airflow-api:8080"),
        (False, {}, "https://plant.example/airflow", "https://plant.example/airflow"),
        (False, {}, None, None),
    ],
)
def test_the_airflow_of_this_home_of_the_containers_or_of_the_settings_is_asked(
    is_started, environ, stated, address, tmp_path, monkeypatch
):
    passwords = tmp_path / "secrets" / "airflow_passwords.json"
    passwords.parent.mkdir()
    passwords.write_text('{"admin": "p"}')
    environ = {name: value.replace("FILE", str(passwords)) for name, value in environ.items()}
    monkeypatch.setattr(airflow_client, "running", lambda home: object() if is_started else None)
    settings = Settings(home=tmp_path, airflow_uri=stated)
    read = scheduler_reader(settings, environ)
    assert (read and str(read.__self__._airflow._http.base_url).rstrip("/")) == address
    passwords.unlink()
    assert scheduler_reader(settings, environ) is None


def test_paused_dags_are_told_at_once(airflow, read):
    airflow.paused = ["evaluate__1m"]
    assert read(1).paused == ["evaluate__1m"]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_away_for_longer_than_a_restart_takes_is_told(airflow, read, part):
    assert read(0).away is None
    airflow.away = part == "API"
    airflow.parts[part] = "unhealthy"
    longest = AWAY_AFTER / timedelta(minutes=1)
    assert read(longest).away is None
    late = read(longest + 1)
    assert late.away == (part, at(0))
    assert (late.paused is None) == airflow.away, "what is not known stays as it was"
    airflow.away = False
    airflow.parts[part] = "healthy"
    assert read(longest + 2).away is None
