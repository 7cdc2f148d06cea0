"""The death of a worker in the middle of a tick, and what it costs."""

import time
from collections.abc import Iterator, Mapping, Sequence
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
        wait_for(lambda: http.get(path).json()["state"] == "success", "the tick to end", HANG_S)
    finally:
        whole.cluster.workers[victim].start()
    tasks = _tasks(http, path)
    repeated = [task for task in tasks if task["try_number"] > 1]
    if not repeated:
        return None
    firsts = [_first_try(http, path, task) for task in repeated]
    assert {first["hostname"] for first in firsts} == {victim}, firsts
    return {
        "worker": victim,
        "shards": f"{len(repeated)} of {len([t for t in tasks if t['task_id'] == 'evaluate'])}",
        "noticed": max(_seconds(first["end_date"], died_at) for first in firsts),
        "begun again": max(_seconds(task["start_date"], died_at) for task in repeated),
        "done": max(_seconds(task["end_date"], died_at) for task in repeated),
        "done on": sorted({task["hostname"] for task in repeated}),
        "lines of its log": _lines_of_all(http, path, repeated),
    }


def _first_at_work(http: httpx.Client, path: str) -> str | None:
    """Return the worker of the first shard of a run that is at work, and has logged so; None if the
    run was over before it was seen."""

    def at_work() -> Iterator[str]:
        for task in _tasks(http, path):
            is_at_work = task["state"] == "running" and task["hostname"]
            if task["task_id"] == "evaluate" and is_at_work and _log_lines(http, path, task):
                yield str(task["hostname"])

    found: list[str] = []

    def is_found_or_over() -> bool:
        found.extend(at_work())
        return bool(found) or http.get(path).json()["state"] == "success"

    wait_for(is_found_or_over, "a shard at work", HANG_S, poll_s=0.01)
    return next(iter(found), None)


def _tasks(http: httpx.Client, path: str) -> list[Row]:
    found: list[Row] = http.get(f"{path}/taskInstances").raise_for_status().json()["task_instances"]
    return found


def _instance(path: str, task: Row) -> str:
    return f"{path}/taskInstances/{task['task_id']}"


def _first_try(http: httpx.Client, path: str, task: Row) -> Row:
    index = task["map_index"]
    address = f"{_instance(path, task)}{'' if index < 0 else f'/{index}'}/tries/1"
    found: Row = http.get(address).raise_for_status().json()
    return found


def _log_lines(http: httpx.Client, path: str, task: Row) -> int:
    """Return the lines of the log that the worker wrote before its death, which are on no host
    alone."""
    query = {"map_index": task["map_index"], "full_content": True}
    answer = http.get(f"{_instance(path, task)}/logs/1", params=query).raise_for_status().json()
    return len([line for line in answer["content"] if line.get("timestamp")])


def _lines_of_all(http: httpx.Client, path: str, tasks: Sequence[Row]) -> int:
    """Return the lines of the log with fewest, of the first tries of tasks on a dead worker."""
    fewest = min(_log_lines(http, path, task) for task in tasks)
    assert fewest, "the log of a dead worker cannot be read"
    return fewest


def _seconds(stamp: str, since: float) -> float:
    return round(datetime.fromisoformat(stamp).timestamp() - since, 1)
