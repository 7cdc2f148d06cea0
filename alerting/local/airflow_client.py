"""Client of Airflow's REST API: start trainings, and follow them."""

import json
import time
from collections.abc import Collection
from typing import Any

import httpx

from alerting.adapters.mongo.running import running
from alerting.local import parts
from alerting.ports import Platform
from alerting.settings.environment import Settings
from alerting.usecases.training.due import find_due_trainings

PATIENCE_S = 120.0
_SHORT_PATIENCE_S = 2.0  # of trainings that the platform would start itself soon after
_MOST_STARTED = 5
POLL_S = 0.5
TIMEOUT_S = 20.0
UNFINISHED = ("queued", "running")


class AirflowSilent(Exception):
    """Failure of Airflow to give a valid answer within the time limit."""


class AirflowClient:
    """Client of Airflow as the user `admin`; requests are repeated for `patience_s`."""

    def __init__(self, url: str, password: str, patience_s: float = PATIENCE_S) -> None:
        self._http = httpx.Client(base_url=url, timeout=min(TIMEOUT_S, patience_s), trust_env=False)
        self._password = password
        self._patience_s = patience_s

    def start(self, dag_id: str, run_id: str) -> None:
        """Start the run with this id unless it was started. Idempotent. Raises AirflowSilent
        without an answer in time."""
        self._request(
            "POST",
            f"/dags/{dag_id}/dagRuns",
            also_done=(httpx.codes.CONFLICT,),
            json={"logical_date": None, "dag_run_id": run_id},
        )

    def page(self, dag_id: str, run_id: str) -> str:
        """Return the address of a run's page."""
        return f"{self._http.base_url}/dags/{dag_id}/runs/{run_id}"

    def state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run."""
        return str(self._request("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def _request(
        self, method: str, path: str, also_done: Collection[int] = (), **options: Any
    ) -> Any:
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                answer = self._http.request(method, f"/api/v2{path}", **options)
                if answer.status_code == httpx.codes.UNAUTHORIZED:
                    self._sign_in()
                elif answer.is_success or answer.status_code in also_done:
                    return answer.json()
                problem = f"{answer.status_code} {answer.text[:200]}"
            except (
                httpx.HTTPError,
                ValueError,
                KeyError,
                TypeError,
            ) as fault:  # away, or another server's answer
                problem = str(fault)
            if time.monotonic() + POLL_S > deadline:
                raise AirflowSilent(f"{method} {path}: {problem}")
            time.sleep(POLL_S)

    def _sign_in(self) -> None:
        answer = self._http.post(
            "/auth/token", json={"username": "admin", "password": self._password}
        )
        if answer.is_success:
            self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def start_trainings(settings: Settings, platform: Platform) -> dict[str, str]:
    """Return, by definition, the page of each training that was started.

    A failure does no harm: the platform starts the same runs, by the same ids, within a minute or
    two.
    """
    airflow = _client(settings)
    started: dict[str, str] = {}
    if airflow is None:
        return started
    for due in find_due_trainings(platform, platform.clock.now())[:_MOST_STARTED]:
        dag_id = f"train__{due.definition}"
        try:
            airflow.start(dag_id, due.run)
        except AirflowSilent:  # also while the DAG of a new definition is not read yet
            break
        started[due.definition] = airflow.page(dag_id, due.run)
    return started


def _client(settings: Settings) -> AirflowClient | None:
    """Return a client of the settings' Airflow, or of this home's; None without one."""
    if settings.airflow_uri is None and running(settings.home) is None:
        return None
    try:
        passwords = json.loads(
            (settings.home / "secrets" / "airflow_passwords.json").read_text(encoding="utf-8")
        )
        return AirflowClient(
            settings.airflow_uri or parts.airflow_uri(settings),
            passwords["admin"],
            _SHORT_PATIENCE_S,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
