"""Client of Airflow's REST API: start trainings, and follow them; and read what Airflow says about
itself: whether it runs, which DAGs are paused, and which runs failed."""

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import httpx

from alerting.adapters.mongo.running import running
from alerting.local import parts
from alerting.ports import Platform
from alerting.settings.environment import Settings
from alerting.usecases.health.scheduled_tasks import PARTS, FailedRun, PartAway, SchedulerState
from alerting.usecases.training.due import find_due_trainings

PATIENCE_S = 120.0
_SHORT_PATIENCE_S = 2.0  # of trainings that the platform would start itself soon after
POLL_S = 0.5
TIMEOUT_S = 20.0
UNFINISHED = ("queued", "running")
AWAY_AFTER = timedelta(minutes=5)
_FAILED_WITHIN = timedelta(days=2)  # a run that failed before is known already
_MOST_DAGS = 100
_LONGEST_LOG = 100_000


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

    def emit(self, asset: int, extra: Mapping[str, Any]) -> None:
        """Add an event to an asset, by its id; none if the asset is gone. Raises AirflowSilent
        without an answer in time: the event may have been added."""
        event = {"asset_id": asset, "extra": extra}
        self._request("POST", "/assets/events", also_done=(httpx.codes.NOT_FOUND,), json=event)

    def page(self, dag_id: str, run_id: str) -> str:
        """Return the address of a run's page."""
        return f"{self._http.base_url}/dags/{dag_id}/runs/{run_id}"

    def state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run."""
        return str(self._request("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def read(self, path: str, **query: Any) -> Any:
        """Return the answer to a question; an empty one if what it asks about is not there. Raises
        AirflowSilent without an answer in time."""
        answer = self._request("GET", path, also_done=(httpx.codes.NOT_FOUND,), params=query)
        return answer if isinstance(answer, dict) else {}

    def read_log(self, path: str, **query: Any) -> Iterator[Any]:
        """Yield the first `_LONGEST_LOG` entries of a task's log. Raises AirflowSilent without an
        answer in time."""
        accept = {"Accept": "application/x-ndjson"}
        try:
            with self._http.stream("GET", f"/api/v2{path}", params=query, headers=accept) as answer:
                lines = answer.iter_lines() if answer.is_success else ()
                yield from map(json.loads, islice(lines, _LONGEST_LOG))
        except (httpx.HTTPError, ValueError) as fault:
            raise AirflowSilent(f"GET {path}: {fault}") from fault

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
    for due in find_due_trainings(platform, platform.clock.now())[:5]:
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
    address = settings.airflow_uri or parts.airflow_uri(settings)
    return _signed_in(address, settings.home / "secrets" / "airflow_passwords.json")


def _signed_in(
    address: str, passwords: Path, patience_s: float = _SHORT_PATIENCE_S
) -> AirflowClient | None:
    """Return a client that signs in with a file of passwords; None if it cannot be read."""
    try:
        of_users = json.loads(passwords.read_text(encoding="utf-8"))
        return AirflowClient(address, of_users["admin"], patience_s)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def scheduler_reader(
    settings: Settings, environ: Mapping[str, str]
) -> Callable[[Collection[str]], SchedulerState] | None:
    """Return what asks Airflow about itself; None without an Airflow that `find_airflow` finds."""
    if (client := find_airflow(settings, environ)) is None:
        return None
    public = {} if running(settings.home) else environ
    pages = settings.airflow_uri or public.get("AIRFLOW__API__BASE_URL", str(client._http.base_url))
    return SchedulerReader(client, pages.rstrip("/")).read


def find_airflow(
    settings: Settings, environ: Mapping[str, str], patience_s: float = _SHORT_PATIENCE_S
) -> AirflowClient | None:
    """Return a client of the Airflow of `alerting up` on this home, of the containers, or of the
    settings; None without an Airflow whose password this process may read."""
    started = parts.airflow_uri(settings) if running(settings.home) else None
    inside = environ.get("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "").removesuffix("/execution/")
    address = started or inside or settings.airflow_uri
    passwords = (
        environ.get("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE")
        if inside and not started
        else None
    )
    usual = settings.home / "secrets" / "airflow_passwords.json"
    return _signed_in(address, Path(passwords or usual), patience_s) if address else None


class SchedulerReader:
    """Reads what Airflow says about itself. A part that is away for less than `AWAY_AFTER` is not
    told: its restart takes less. `pages`: the address of Airflow's pages."""

    def __init__(
        self,
        airflow: AirflowClient,
        pages: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._airflow = airflow
        self._pages = pages
        self._now = now
        self._well_at = dict.fromkeys(PARTS, now())
        self._failed: dict[tuple[str, str], FailedRun] = {}

    def read(self, suspects: Collection[str]) -> SchedulerState:
        """Return the state now. `suspects`: DAGs of which a run failed before."""
        try:
            health = self._airflow.read("/monitor/health")
            paused = self._airflow.read("/dags", paused=True, limit=_MOST_DAGS)["dags"]
            failed = self._failed_runs(suspects)
            well = [p for p in PARTS if health.get(p, {}).get("status") == "healthy"]
            self._well_at |= dict.fromkeys([PARTS[0], *well], self._now())
            return SchedulerState(self._away(), [str(dag["dag_id"]) for dag in paused], failed)
        except (AirflowSilent, LookupError, TypeError, ValueError):  # or another server's answer
            return SchedulerState(self._away(), None, None)

    def _away(self) -> PartAway | None:
        """Return the part that has been away for too long, Airflow's API first."""
        for part, well_at in self._well_at.items():
            if self._now() - well_at > AWAY_AFTER:
                return PartAway(part, well_at)
        return None

    def _failed_runs(self, suspects: Collection[str]) -> list[FailedRun]:
        """Return the failed runs that are the newest ended ones of their DAGs."""
        after = (self._now() - _FAILED_WITHIN).isoformat()
        query = {"state": "failed", "end_date_gte": after, "order_by": "-end_date"}
        runs = self._airflow.read("/dags/~/dagRuns", limit=_MOST_DAGS, **query)["dag_runs"]
        newest = []
        for dag in dict.fromkeys([*suspects, *(str(run["dag_id"]) for run in runs)]):
            if self._airflow.read(f"/dags/{dag}").get("is_stale"):
                continue  # its source or cadence is gone: no run follows
            ended = {"state": ["success", "failed"], "order_by": "-run_after", "limit": 1}
            for run in self._airflow.read(f"/dags/{dag}/dagRuns", **ended).get("dag_runs", ()):
                if run["state"] == "failed":
                    key = (dag, str(run["dag_run_id"]))
                    if key not in self._failed:
                        self._failed[key] = self._describe(*key)
                    newest.append(self._failed[key])
        self._failed = {key: run for key, run in self._failed.items() if run in newest}
        return newest

    def _describe(self, dag: str, run: str) -> FailedRun:
        """Return a failed run with the exception of its first failed task."""
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances"
        page = f"{self._pages}/dags/{dag}/runs/{run}"
        tasks = self._airflow.read(path, state="failed", limit=1).get("task_instances")
        if not tasks:
            return FailedRun(dag, None, page)
        task, tries, index = (tasks[0][key] for key in ("task_id", "try_number", "map_index"))
        page += f"/tasks/{task}" + (f"/mapped/{index}" if index >= 0 else "")
        log = self._airflow.read_log(f"{path}/{task}/logs/{tries}", map_index=index)
        try:
            error = [entry["error_detail"] for entry in log if entry.get("error_detail")][-1][0]
            reason = f"{error['exc_type']}: {error['exc_value']}".splitlines()[0]
        except AirflowSilent as fault:  # the log alone is away
            reason = str(fault)
        except (LookupError, TypeError, AttributeError):
            return FailedRun(dag, None, page)
        return FailedRun(dag, reason[:300], page)
