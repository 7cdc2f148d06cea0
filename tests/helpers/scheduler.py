"""Airflow as `alerting up` starts it, and its REST API, for tests of the DAGs."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from alerting.adapters.airflow.dag_files import write_dag_files
from alerting.local import parts
from alerting.local.prepare import load_or_create
from alerting.settings.environment import Settings

HANG_S = 600.0  # a step that takes so long, also beside much other work, hangs
POLL_S = 0.3
PAUSED = "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"


@dataclass
class Started:
    """A process with its log, which can be killed and started again."""

    command: Sequence[str]
    environ: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environ, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """End it at once with all that it started, as a machine without power does. Tasks of
        Airflow have groups of their own."""
        with suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.process.pid)
            found.suspend()  # it starts nothing more
            for one in (*found.children(recursive=True), found):
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        self.process.wait(10)

    def terminate(self) -> None:
        self.process.terminate()

    def end(self) -> None:
        """Wait until it has ended; after half a minute it is killed with its whole group, as
        `alerting up` does."""
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass
class Airflow:
    """Airflow's REST API, as its administrator uses it. `logs`: of its processes, by their names.
    `parts`: those that the test itself started."""

    http: httpx.Client
    logs: Path
    parts: Mapping[str, Started] = field(default_factory=dict)

    def unpause(self, dag_id: str) -> None:
        self._wait_for_dag(dag_id)
        self._set_paused(dag_id, False)

    def pause_all(self) -> None:
        """Pause every DAG, so that its schedule takes no time from the tests that follow."""
        body = {"is_paused": True}
        self.http.patch("/dags", params={"dag_id_pattern": "~"}, json=body).raise_for_status()

    def run(self, dag_id: str, as_of: datetime) -> list[dict[str, Any]]:
        """Trigger a run of a paused DAG, wait for its end, pause the DAG again, and return the task
        instances; fails with their states and logs."""
        path = self.trigger(dag_id, as_of)
        self._set_paused(dag_id, False)
        tasks = self.finish(dag_id, path)
        self._set_paused(dag_id, True)
        return tasks

    def trigger(self, dag_id: str, as_of: datetime | None = None) -> str:
        """Start a run and return its path."""
        self._wait_for_dag(dag_id)
        conf = {} if as_of is None else {"as_of": as_of.isoformat()}
        body = {"logical_date": None, "conf": conf}
        answer = self.http.post(f"/dags/{dag_id}/dagRuns", json=body)
        assert answer.is_success, f"{answer.text}; {self._report([])}"
        return f"/dags/{dag_id}/dagRuns/{answer.json()['dag_run_id']}"

    def answer(self, path: str, option: str, reason: str) -> str:
        """Answer a run's question as its administrator; returns the text that was asked with.

        Airflow ends the try of an answer that comes before the scheduler has noted that the worker
        is done, which takes about a second, and longer on a busy machine; a person is slower.
        """
        approve = f"{path}/taskInstances/approve"
        question = f"{approve}/-1/hitlDetails"
        self.until(
            lambda: self._waits(approve) and self._worker_ends(path, "approve") > 0,
            "a question",
        )
        asked = self.http.get(question).json()
        body = {"chosen_options": [option], "params_input": {"reason": reason}}
        self.http.patch(question, json=body).raise_for_status()
        return f"{asked['subject']}\n{asked['body']}"

    def _waits(self, task: str) -> bool:
        """Whether a task instance, by its path, waits for a person."""
        return self.http.get(task).json().get("state") == "awaiting_input"

    def _worker_ends(self, path: str, task_id: str) -> int:
        """How often the scheduler has noted that a worker is done with a task of a run."""
        noted = (
            f"Received executor event with state success for task instance .*"
            f"task_id='{task_id}', run_id='{re.escape(path.rpartition('/')[2])}'"
        )
        return len(re.findall(noted, (self.logs / "airflow-scheduler.log").read_text()))

    def finish(self, dag_id: str, path: str) -> list[dict[str, Any]]:
        """Wait for a run's end and return its task instances; fails with their states and logs."""
        self.until(
            lambda: self.http.get(path).json()["state"] in ("success", "failed"),
            f"{dag_id} to end",
        )
        tasks = self.http.get(f"{path}/taskInstances").json()["task_instances"]
        assert self.http.get(path).json()["state"] == "success", self._report(tasks)
        return tasks

    def run_ids(self, dag_id: str) -> list[str]:
        """The ids of the runs of a DAG, oldest first."""
        runs = (
            self.http.get(f"/dags/{dag_id}/dagRuns", params={"order_by": "run_after"})
            .raise_for_status()
            .json()["dag_runs"]
        )
        return [run["dag_run_id"] for run in runs]

    def _wait_for_dag(self, dag_id: str) -> None:
        self.until(lambda: self.http.get(f"/dags/{dag_id}").is_success, f"{dag_id} to appear")

    def _set_paused(self, dag_id: str, is_paused: bool) -> None:
        self.http.patch(f"/dags/{dag_id}", json={"is_paused": is_paused}).raise_for_status()

    def until(self, happened: Callable[[], object], what: str) -> None:
        """Wait for one step."""
        deadline = time.monotonic() + HANG_S
        while not happened():
            assert time.monotonic() < deadline, f"waited {HANG_S} s for {what}; {self._report([])}"
            time.sleep(POLL_S)

    def _report(self, tasks: list[dict[str, Any]]) -> str:
        states = [f"{t['task_id']}[{t['map_index']}] {t['state']}" for t in tasks]
        logs = [
            f"--- {file}\n{file.read_text()[-3000:]}" for file in sorted(self.logs.rglob("*.log"))
        ]
        return "\n".join([*states, *logs])


@contextmanager
def running_airflow(settings: Settings, **variables: str) -> Iterator[Airflow]:
    """Scheduler, DAG processor and API server as `alerting up` starts them, with every DAG paused
    until it is wanted, unless `variables` say otherwise."""
    secrets = load_or_create(settings.home / "secrets")
    environ = (
        parts.airflow_environment(
            settings, secrets, parts.environment(settings, secrets, os.environ)
        )
        | {PAUSED: "True"}
        | variables
    )
    logs = settings.home / "logs"
    logs.mkdir(exist_ok=True)
    write_dag_files(settings.home)
    for job in parts.airflow_migration(settings, environ):
        subprocess.run(job.command, env=environ, check=True, capture_output=True)
    started = {}
    try:
        for part in parts.airflow_parts(settings, environ, needs=()):
            started[part.name] = Started(part.command, environ, logs / f"{part.name}.log")
        http = sign_in(parts.airflow_uri(settings), secrets.airflow_password)
        yield Airflow(http, logs, started)
    finally:
        end_all(started.values())


def end_all(started: Iterable[Started]) -> None:
    """End processes together: each finishes meanwhile what it does."""
    started = list(started)
    for one in started:
        one.terminate()
    for one in started:
        one.end()


def sign_in(base: str, password: str) -> httpx.Client:
    """Return a client of Airflow's REST API as its administrator, once it answers."""
    http = httpx.Client(base_url=base, trust_env=False, timeout=HANG_S)
    deadline = time.monotonic() + HANG_S
    while True:
        try:
            answer = http.post("/auth/token", json={"username": "admin", "password": password})
            break
        except httpx.ConnectError:
            assert time.monotonic() < deadline, "Airflow's API did not start"
            time.sleep(0.5)
    http.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
    http.base_url = httpx.URL(f"{base}/api/v2")
    return http
