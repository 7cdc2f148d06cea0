"""The death of a worker in the middle of a tick, and what it costs."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from tests.cluster.walk import TICK
from tests.cluster.whole import Whole, wait_for

GOAL_S = 45.0
TRIES = 10
HANG_S = 180.0
Row = Mapping[str, Any]


def kill_in_mid_tick(whole: Whole) -> dict[str, Any]:
    """Kill a worker that evaluates one of several shards; returns what became of its shards, in
    seconds from its death.

    Raises AssertionError if a shard of another worker was repeated, or if the log of the dead
    worker's try cannot be read.
    """
    for _ in range(TRIES):
        if found := _kill_once(whole):
            return found
    raise AssertionError(f"no shard was in the middle of its work in {TRIES} ticks")


def _kill_once(whole: Whole) -> dict[str, Any] | None:
    """Kill the worker of the first shard that starts; None if it had no work left."""
    http = whole.cluster.airflow.http
    path = whole.cluster.airflow.trigger(TICK)
    victim = _first_at_work(http, path)
    if victim is None:
        return None
    died_at = time.time()
    whole.cluster.workers[victim].kill()
    try:
        wait_for(lambda: _is_over(http, path), "the tick to end", HANG_S)
    finally:
        whole.cluster.workers[victim].start()
    repeated = [task for task in _tasks(http, path) if task["try_number"] > 1]
    if not repeated:
        return None
    hosts = {_get(http, _instance(path, task) + "/tries/1")["hostname"] for task in repeated}
    assert hosts == {victim}, hosts
    assert all(_log_lines(http, path, task) for task in repeated), "no log of a dead worker"
    ends = [datetime.fromisoformat(task["end_date"]).timestamp() for task in repeated]
    return {
        "worker": victim,
        "shards": len(repeated),
        "done": round(max(ends) - died_at, 1),
        "done on": sorted({task["hostname"] for task in repeated}),
    }


def _first_at_work(http: httpx.Client, path: str) -> str | None:
    """Return the worker of the first shard of a run that is at work, and has logged so; None if the
    run was over before it was seen."""

    found: list[str] = []

    def is_found_or_over() -> bool:
        shards = (task for task in _tasks(http, path) if task["task_id"] == "evaluate")
        at_work = (task for task in shards if task["state"] == "running" and task["hostname"])
        found.extend(task["hostname"] for task in at_work if _log_lines(http, path, task))
        return bool(found) or _is_over(http, path)

    wait_for(is_found_or_over, "a shard at work", HANG_S, poll_s=0.01)
    return next(iter(found), None)


def _is_over(http: httpx.Client, path: str) -> bool:
    return _get(http, path)["state"] == "success"


def _tasks(http: httpx.Client, path: str) -> list[Row]:
    return _get(http, f"{path}/taskInstances")["task_instances"]


def _instance(path: str, task: Row) -> str:
    address = f"{path}/taskInstances/{task['task_id']}"
    return address if task["map_index"] < 0 else f"{address}/{task['map_index']}"


def _log_lines(http: httpx.Client, path: str, task: Row) -> int:
    """Return the lines of the log that the worker wrote before its death, which are on no host
    alone."""
    query = {"map_index": task["map_index"], "full_content": True}
    logs = _get(http, f"{path}/taskInstances/{task['task_id']}/logs/1", **query)
    return len([line for line in logs["content"] if line.get("timestamp")])


def _get(http: httpx.Client, path: str, **query: Any) -> Any:
    return http.get(path, params=query).raise_for_status().json()
