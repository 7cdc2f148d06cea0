"""How late the ticks of a platform end while four trainings run on its two cores."""

import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np

from alerting.adapters.mongo.mongo import MongoStores
from alerting.client import ApiProblem, Client
from alerting.definitions.assets import Asset, Variable
from alerting.local import parts
from alerting.local.secrets import load_or_create
from alerting.ports import ReadingRow
from alerting.settings.environment import Settings
from alerting.usecases.ingestion.arrivals import add_readings
from benchmarks.evaluate import writes_of

TRAININGS = 4
DAG = "evaluate__1m"
LATE_S = 60.0
_MINUTE = timedelta(minutes=1)
_DAYS = 30
_STEP = timedelta(minutes=1)
_PAUSE_S = 0.5
_PATIENCE_S = 600.0
_AT_WORK = ("training", "requested", "waiting")


def measure_ticks(
    settings: Settings, stores: MongoStores, minutes: int, send_due: Callable[[], None]
) -> dict[str, Any]:
    """Return how late each tick of these minutes ended (s), while as many trainings as
    `TRAININGS` run, each begun again as soon as it is over. `send_due`: sends readings to the
    definitions that are evaluated."""
    secrets = load_or_create(settings.home / "secrets")
    api = f"http://127.0.0.1:{settings.api_port}"
    names = [f"wet-{n}" for n in range(TRAININGS)]
    for n in range(TRAININGS):
        _fill(stores, n)
    with (
        Client(api, secrets.api_tokens["engineer"]) as engineer,
        closing(_airflow(settings, secrets.airflow_password)) as http,
    ):
        for n, name in enumerate(names):
            engineer.apply_definition(name, _classifier(n), if_none_match="*")
        at_once: list[int] = []
        until = time.monotonic() + _PATIENCE_S
        while _at_work(http) < TRAININGS:
            if time.monotonic() > until:
                raise TimeoutError("the trainings have not begun; see Airflow's logs")
            _keep_training(engineer, names)
            _wait(send_due)
        began = datetime.now(UTC)
        while datetime.now(UTC) < began + minutes * _MINUTE:
            _keep_training(engineer, names)
            at_once.append(_at_work(http))
            _wait(send_due)
        ended = datetime.now(UTC)
        time.sleep(LATE_S)  # of the last tick
        late = _lateness(http, began, ended)
    return {
        "minutes": minutes,
        "ticks": len(late),
        "left_out": minutes - len(late),
        "longest_delay_s": max(late, default=None),
        "median_delay_s": round(float(np.median(late)), 1),
        "trainings_at_once": round(float(np.mean(at_once)), 1),
    }


def _wait(send_due: Callable[[], None]) -> None:
    send_due()
    time.sleep(_PAUSE_S)


def _fill(stores: MongoStores, number: int) -> None:
    """Store a month of readings of a line, one a minute, whose moisture follows the humidity."""
    random = np.random.default_rng(number)
    name = f"dryer-{number}"
    variables = {each: Variable() for each in ("moisture", "humidity", "dough", "speed")}
    stores.assets.store_assets([Asset(name=name, variables=variables)])
    count = int(timedelta(days=_DAYS) / _STEP)
    wet = np.convolve(random.random(count) < 1 / 300, np.ones(20), "same") > 0
    humidity = 40 + 15 * wet + random.normal(0, 1, count)
    moisture = 3.5 + 1.6 * np.roll(wet, 15) + random.normal(0, 0.1, count)
    begin = datetime.now(UTC).replace(second=0, microsecond=0) - count * _STEP
    for start in range(0, count, 10_000):
        rows = [
            ReadingRow(
                name,
                begin + i * _STEP,
                {
                    "moisture": float(moisture[i]),
                    "humidity": float(humidity[i]),
                    "dough": float(random.normal(50, 1)),
                    "speed": float(random.normal(80, 1)),
                },
            )
            for i in range(start, min(start + 10_000, count))
        ]
        add_readings(writes_of(stores), rows, datetime.now(UTC))


def _classifier(number: int) -> dict[str, Any]:
    return {
        "name": f"wet-{number}",
        "kind": "classifier",
        "assets": [f"dryer-{number}"],
        "problem": {"variable": "moisture", "above": 4.5},
        "horizon": "30m",
        "schedule": {"retrain": None},
    }


def _keep_training(engineer: Client, names: list[str]) -> None:
    """Ask for a training of each definition of which none is under way."""
    for name in names:
        with suppress(ApiProblem, ConnectionError):  # the API is busy: asked again
            if engineer.list_trainings(name)["state"] not in _AT_WORK:
                engineer.start_training(name, {"reason": "benchmark"})


def _airflow(settings: Settings, password: str) -> httpx.Client:
    base = parts.airflow_uri(settings)
    http = httpx.Client(base_url=base, trust_env=False, timeout=30)
    answer = http.post("/auth/token", json={"username": "admin", "password": password})
    http.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
    http.base_url = httpx.URL(f"{base}/api/v2")
    return http


def _at_work(http: httpx.Client) -> int:
    """Return how many trainings Airflow runs."""
    query: dict[str, str | int] = {"state": "running", "dag_id_pattern": "train__%", "limit": 100}
    runs = http.get("/dags/~/dagRuns", params=query).raise_for_status().json()["dag_runs"]
    return sum(run["dag_id"].startswith("train__") for run in runs)


def _lateness(http: httpx.Client, began: datetime, ended: datetime) -> list[float]:
    """Return the seconds by which each tick of these minutes ended after its instant."""
    query: dict[str, str | int] = {
        "run_after_gte": began.isoformat(),
        "run_after_lt": ended.isoformat(),
        "limit": 100,
    }
    runs = http.get(f"/dags/{DAG}/dagRuns", params=query).raise_for_status().json()["dag_runs"]
    return [
        round(
            (
                datetime.fromisoformat(run["end_date"]) - datetime.fromisoformat(run["run_after"])
            ).total_seconds(),
            1,
        )
        for run in runs
        if run["end_date"]
    ]
