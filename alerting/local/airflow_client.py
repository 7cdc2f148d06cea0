"""Client of Airflow's REST API with the operations that a first start needs."""

import time
from dataclasses import dataclass
from typing import Any

import httpx

PATIENCE_S = 120.0
POLL_S = 0.5
TIMEOUT_S = 20.0
UNFINISHED = ("queued", "running")


@dataclass(frozen=True)
class RunProgress:
    """Progress of a DAG run: its state, its number of finished tasks, and its running tasks."""

    state: str
    done: int
    total: int
    active: tuple[str, ...]


class AirflowSilent(Exception):
    """Failure of Airflow to give a valid answer within the time limit."""


class AirflowClient:
    """Client of Airflow as the user `admin`. It repeats requests for a while, because the API may be starting or busy."""

    def __init__(self, url: str, password: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)
        self._password = password

    def wait_for_dag(self, dag_id: str) -> None:
        """Wait until Airflow has read the DAG. Raises AirflowSilent if it does not in time."""
        self._request("GET", f"/dags/{dag_id}")

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG, newest first."""
        found: list[dict[str, Any]] = self._request("GET", f"/dags/{dag_id}/dagRuns", params={"order_by": "-run_after"})[
            "dag_runs"
        ]
        return found

    def unfinished_run(self, dag_id: str) -> str | None:
        """Return the newest queued or running run."""
        return next((str(run["dag_run_id"]) for run in self.runs(dag_id) if run["state"] in UNFINISHED), None)

    def trigger(self, dag_id: str) -> str:
        """Start a run and return its id."""
        return str(self._request("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None})["dag_run_id"])

    def progress(self, dag_id: str, run_id: str) -> RunProgress:
        """Return the progress of a run."""
        state = self._request("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
        tasks = self._request("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        done = [task for task in tasks if task["state"] in {"success", "skipped", "failed", "upstream_failed"}]
        active = [task["rendered_map_index"] or task["task_id"] for task in tasks if task["state"] == "running"]
        return RunProgress(state, len(done), len(tasks), tuple(active))

    def _request(self, method: str, path: str, **options: Any) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = self._http.request(method, f"/api/v2{path}", **options)
                if answer.status_code == httpx.codes.UNAUTHORIZED:
                    self._sign_in()
                elif answer.is_success:
                    return answer.json()
                problem = f"{answer.status_code} {answer.text[:200]}"
            except httpx.TransportError as fault:
                problem = str(fault)
            if time.monotonic() > deadline:
                raise AirflowSilent(f"{method} {path}: {problem}")
            time.sleep(POLL_S)

    def _sign_in(self) -> None:
        answer = self._http.post("/auth/token", json={"username": "admin", "password": self._password})
        if answer.is_success:
            self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
