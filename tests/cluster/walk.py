"""The way of an alert over a whole cluster: applied at one API, trained on one worker, evaluated by
others, acknowledged at the second API."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alerting.adapters.mongo.mongo import MongoStores, open_stores
from alerting.client import Client
from alerting.definitions.asset_documents import Asset, Variable
from alerting.local import parts
from tests.cluster.whole import PATIENCE_S, Whole, wait_for
from tests.helpers.dryer_file import LIMIT, MODEL, dryer_file

DAG_GOAL_S = 5.0
TICK = "evaluate__1m"
CELLS = 250
LIMITS = 8


def walk(whole: Whole) -> dict[str, Any]:
    """Go the way; returns times in seconds. Raises AssertionError where something does not come, or
    differs between the two APIs."""
    home = whole.cluster.settings.home
    (home / "dryer.csv").write_bytes(dryer_file())
    environ = parts.environment(whole.cluster.settings, whole.secrets, os.environ)
    alerting = Path(sys.executable).parent / "alerting"
    words = (alerting, "import", "readings", "dryer.csv", "--asset", "dryer-1")
    subprocess.run(words, env=environ, cwd=home, check=True, timeout=PATIENCE_S)
    http = whole.cluster.airflow.http
    query = {"state": ["queued", "running"], "limit": 1}

    def is_idle() -> bool:
        answer = http.get("/dags/~/dagRuns", params=query).raise_for_status()
        return not answer.json()["total_entries"]

    with whole.client("api-1") as first, whole.client("api-2") as second:
        wait_for(is_idle, "the tasks of a new platform to end")
        first.apply_definition(LIMIT["name"], LIMIT, if_none_match="*")
        first.apply_definition(MODEL["name"], MODEL, if_none_match="*")
        path = f"/dags/train__{MODEL['name']}"
        took = {"from definition to DAG": wait_for(lambda: http.get(path).is_success, "the DAG")}
        took["training"] = _train(first, second)
        took["from reading to alert"] = _raise(first, second)
    with open_stores(whole.members.uri, whole.cluster.settings.database) as stores:
        add_targets(stores)
    return {what: round(seconds, 1) for what, seconds in took.items()}


def _train(first: Client, second: Client) -> float:
    """Train with the first API, approve at the second; return the seconds of the training."""
    name = MODEL["name"]
    first.start_training(name, {"reason": "a first model"})

    def proposed() -> Any:
        trainings = second.list_trainings(name)
        assert not any(one["failure"] for one in trainings["items"]), trainings
        return second.show_models(name)["waiting"]

    took = wait_for(proposed, "a model that waits for a decision")
    assert second.approve_model(name, {"run": proposed()["run"]})["promoted"]
    (model,) = first.list_models()
    assert model["state"] == "serving"
    return took


def _raise(first: Client, second: Client) -> float:
    """Send a value over the limit to the second API, see the alert at the first, acknowledge it at
    the second; return the seconds until the alert."""
    reading = {"asset": "dryer-1", "values": {"product_moisture": 14.2}}
    second.send_readings({"ts": datetime.now(UTC).isoformat(), **reading})

    def raised() -> list[str]:
        episodes = first.iterate("list_episodes", open=True)
        return [str(one["id"]) for one in episodes if one["definition"] == LIMIT["name"]]

    took = wait_for(raised, "the alert")
    [episode] = raised()
    assert second.acknowledge_episode(episode)["acknowledged"]

    def is_known() -> bool:
        shown = first.show_episode(episode)["transitions"]
        return any(transition["kind"] == "acknowledged" for transition in shown)

    wait_for(is_known, "the acknowledgement")
    return took


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
