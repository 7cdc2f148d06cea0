"""The way of an alert over a whole cluster: applied at one API, trained on one worker, evaluated by
others, acknowledged at the second API."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alerting.adapters.mongo.mongo import MongoStores, open_stores
from alerting.client import Client
from alerting.definitions.assets import Asset, Variable
from alerting.local import parts
from tests.cluster.whole import PATIENCE_S, Whole, wait_for
from tests.helpers.dryer_file import LIMIT, MODEL, dryer_file

DAG_GOAL_S = 5.0
TICK = "evaluate__1m"
CELLS = 250
LIMITS = 8


def walk(whole: Whole) -> dict[str, Any]:
    """Go the way; returns times in seconds and the workers of each step. Raises AssertionError
    where something does not come, or differs between the two APIs."""
    with whole.client("api-1") as first, whole.client("api-2") as second:
        _import(whole)
        wait_for(lambda: not _runs(whole), "the tasks of a new platform to end")
        first.apply_definition(LIMIT["name"], LIMIT, if_none_match="*")
        first.apply_definition(MODEL["name"], MODEL, if_none_match="*")
        found: dict[str, Any] = {"from definition to DAG": _until_dag(whole)}
        found["training"], found["trained on"] = _train(whole, first, second)
        began = datetime.now(UTC)
        found["from reading to alert"], episode = _raise(first, second)
        found["from acknowledgement to the other API"] = _acknowledge(first, second, episode)
        with open_stores(whole.members.uri, whole.cluster.settings.database) as stores:
            add_targets(stores)
        found["evaluated on"] = _evaluated_on(whole, began)
    return found


def _import(whole: Whole) -> None:
    home = whole.cluster.settings.home
    (home / "dryer.csv").write_bytes(dryer_file())
    environ = parts.environment(whole.cluster.settings, whole.secrets, os.environ)
    alerting = Path(sys.executable).parent / "alerting"
    words = (alerting, "import", "readings", "dryer.csv", "--asset", "dryer-1")
    subprocess.run(words, env=environ, cwd=home, check=True, timeout=PATIENCE_S)


def _until_dag(whole: Whole) -> float:
    path = f"/dags/train__{MODEL['name']}"
    took = wait_for(lambda: whole.cluster.airflow.http.get(path).is_success, "the DAG")
    return round(took, 1)


def _train(whole: Whole, first: Client, second: Client) -> tuple[float, list[str]]:
    """Train with the first API, approve at the second."""
    name = MODEL["name"]
    first.start_training(name, {"reason": "a first model"})
    began = time.monotonic()

    def proposed() -> object:
        trainings = second.list_trainings(name)
        assert not any(one["failure"] for one in trainings["items"]), trainings
        return second.show_models(name)["waiting"]

    wait_for(proposed, "a model that waits for a decision")
    took = time.monotonic() - began
    run = second.show_models(name)["waiting"]["run"]
    assert second.approve_model(name, {"run": run})["promoted"]
    (model,) = first.list_models()
    assert model["state"] == "serving"
    tasks = _tasks(whole, f"train__{name}")
    return round(took, 1), sorted({task["hostname"] for task in tasks if task["hostname"]})


def _raise(first: Client, second: Client) -> tuple[float, str]:
    """Send a value over the limit to the second API, see the alert at the first."""
    reading = {"asset": "dryer-1", "values": {"product_moisture": 14.2}}
    second.send_readings({"ts": datetime.now(UTC).isoformat(), **reading})

    def raised() -> Iterator[Mapping[str, Any]]:
        episodes = first.iterate("list_episodes", open=True)
        return (one for one in episodes if one["definition"] == LIMIT["name"])

    took = wait_for(lambda: any(raised()), "the alert")
    return round(took, 1), str(next(raised())["id"])


def _acknowledge(first: Client, second: Client, episode: str) -> float:
    assert second.acknowledge_episode(episode)["acknowledged"]

    def is_known() -> bool:
        shown = first.show_episode(episode)["transitions"]
        return any(transition["kind"] == "acknowledged" for transition in shown)

    took = wait_for(is_known, "the acknowledgement")
    return round(took, 2)


def add_targets(stores: MongoStores) -> None:
    """Add so many targets that a tick has several shards."""
    cells = [
        Asset(name=f"cell-{n}", variables={"temperature": Variable(unit="°C")})
        for n in range(CELLS)
    ]
    stores.assets.store_assets(cells)
    for n in range(LIMITS):
        changes = {"name": f"cell-limit-{n}", "assets": ["cell-*"], "variable": "temperature"}
        stores.definitions.store_document({**LIMIT, **changes})


def _evaluated_on(whole: Whole, since: datetime) -> list[str]:
    """Return the workers that evaluated since an instant, once there are two of them."""

    def workers() -> list[str]:
        tasks = [task for task in _tasks(whole, TICK) if task["task_id"] == "evaluate"]
        started = [task for task in tasks if (task["start_date"] or "") > since.isoformat()]
        return sorted({task["hostname"] for task in started if task["hostname"]})

    wait_for(lambda: len(workers()) > 1, "ticks on two workers", PATIENCE_S)
    return workers()


def _runs(whole: Whole) -> int:
    """Return how many runs of DAGs wait or are at work."""
    query = {"state": ["queued", "running"], "limit": 1}
    answer = whole.cluster.airflow.http.get("/dags/~/dagRuns", params=query).raise_for_status()
    return int(answer.json()["total_entries"])


def _tasks(whole: Whole, dag_id: str) -> list[dict[str, Any]]:
    path = f"/dags/{dag_id}/dagRuns/~/taskInstances"
    query = {"limit": 100, "order_by": "-start_date"}
    answer = whole.cluster.airflow.http.get(path, params=query).raise_for_status()
    tasks: list[dict[str, Any]] = answer.json()["task_instances"]
    return tasks
