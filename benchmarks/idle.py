"""Cost of a platform at rest: CPU and memory of all processes of `alerting up --no-demo`, empty and
with 50 thresholds of one minute whose 50 assets send a reading a minute; then the longest delay of
a tick while four trainings run for ten minutes.

CPU of a process counts with that of the children that it has waited for, so tasks that end between
two looks are in it. Memory is proportional (PSS): a page that forked processes share counts once.
The peer is the same measurement, at a load of six, of the version whose rounds were three tasks and
whose tasks loaded their own modules; it is stated, not measured again.

Run: python -m benchmarks.idle [DEFINITIONS [MINUTES [MINUTES UNDER TRAININGS]]]
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from alerting.adapters.mongo.mongo import MongoStores
from alerting.local.parts import mongodb_uri
from alerting.settings.environment import Settings, variable
from alerting.settings.machine import free_port
from alerting.wiring import open_stores
from benchmarks.evaluate import write_definitions
from benchmarks.helpers.ports import await_port
from benchmarks.helpers.ticks_under_training import LATE_S, TRAININGS, measure_ticks
from benchmarks.scheduler import deliver, evaluated_to, whole_minute

DEFINITIONS = 50
MINUTES = 2
TRAINING_MINUTES = 10
BEFORE_EMPTY = 6.4
BEFORE_WITH_DEFINITIONS = 13.1
_START_S = 300.0
_SETTLE_S = 90.0
_PAUSE_S = 0.25
_ENDS_WITHIN_S = 60.0
_PARTS = {
    "mongod": "mongod ",
    "mlflow": "mlflow",
    "airflow-api": "api-server",
    "airflow-scheduler": "scheduler",
    "airflow-dags": "dag_processor",
    "stream": "alerting.cli.main stream",
    "api": "alerting.console.serve",
    "clean": "upkeep.clean",
}
"""The words by which a part's command is known, those of Airflow among them."""


def run(
    size: int = DEFINITIONS, minutes: int = MINUTES, training_minutes: int = TRAINING_MINUTES
) -> dict[str, Any]:
    """Return CPU seconds a minute and memory, empty and with definitions, by part."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    with tempfile.TemporaryDirectory() as folder, _platform(Path(folder)) as (settings, pid):
        _sleep_until(time.monotonic() + _SETTLE_S)
        empty = _measure(pid, minutes)
        print(json.dumps(empty), file=sys.stderr, flush=True)
        with_definitions = None
        under_trainings = None
        if size:
            own = Settings(home=settings.home, mongodb_uri=mongodb_uri(settings))
            with open_stores(own) as stores:
                write_definitions(stores, size, whole_minute(datetime.now(UTC)))
                lines = _Lines(stores, size)
                lines.await_evaluation()
                with_definitions = _measure(pid, minutes, lines)
                print(json.dumps(with_definitions), file=sys.stderr, flush=True)
                if training_minutes:
                    under_trainings = measure_ticks(
                        settings, stores, training_minutes, lines.send_due
                    )
    return {
        "benchmark": "idle",
        "figure": empty["cpu_s_per_minute"],
        "unit": "CPU seconds a minute of all processes of an empty platform",
        "peer": "rounds of three tasks that load their own modules",
        "peer_figure": BEFORE_EMPTY,
        "ratio": round(BEFORE_EMPTY / empty["cpu_s_per_minute"], 2),
        "goal": "half of the CPU, empty and with 50 definitions; no tick later than a minute",
        "met": 2 * empty["cpu_s_per_minute"] <= BEFORE_EMPTY
        and (
            with_definitions is None
            or 2 * with_definitions["cpu_s_per_minute"] <= BEFORE_WITH_DEFINITIONS
        )
        and (
            under_trainings is None
            or (under_trainings["longest_delay_s"] <= LATE_S and not under_trainings["left_out"])
        ),
        "empty": empty,
        "with_definitions": with_definitions,
        "under_trainings": under_trainings,
        "definitions": size,
        "load_average": round(os.getloadavg()[0], 1),
    }


class _Lines:
    """The readings of the definitions' assets, one a minute each."""

    def __init__(self, stores: MongoStores, size: int) -> None:
        self._stores = stores
        self._size = size
        self._random = np.random.default_rng(0)
        self._delivered = whole_minute(datetime.now(UTC))

    def send_due(self) -> None:
        """Send the readings of a minute that has begun."""
        if (now := whole_minute(datetime.now(UTC))) > self._delivered:
            self._delivered = now
            deliver(self._stores, self._size, now, self._random)

    def await_evaluation(self) -> None:
        """Send readings until every definition was evaluated once, and a minute longer."""
        until = time.monotonic() + _START_S
        while evaluated_to(self._stores, self._size) is None:
            if time.monotonic() > until:
                raise TimeoutError(f"no round was over after {_START_S:g} s; see Airflow's logs")
            self.send_due()
            time.sleep(_PAUSE_S)
        _sleep_until(time.monotonic() + _SETTLE_S, self)


@contextmanager
def _platform(home: Path) -> Iterator[tuple[Settings, int]]:
    """Run `alerting up --no-demo` until all its parts answer; yield its settings and process id."""
    settings = Settings(
        home=home,
        mongodb_port=free_port(),
        mlflow_port=free_port(),
        airflow_port=free_port(),
        api_port=free_port(),
    )
    environ = {variable(name): str(port) for name, port in settings.ports.items()}
    environ |= {variable("home"): str(home), variable("background_slots"): str(TRAININGS)}
    log = home / "up.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "alerting.cli.main", "up", "--no-demo"],
            env={**os.environ, **environ},
            stdout=written,
            stderr=written,
        )
        try:
            await_port(settings.api_port, _START_S)
            until = time.monotonic() + _START_S
            while "Open this first" not in log.read_text():
                if process.poll() is not None or time.monotonic() > until:
                    raise TimeoutError(log.read_text())
                time.sleep(_PAUSE_S)
            yield settings, process.pid
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _measure(pid: int, minutes: int, lines: _Lines | None = None) -> dict[str, Any]:
    """Return the figures of some whole minutes."""
    before = _cpu_s(pid)
    began = time.monotonic()
    _sleep_until(began + minutes * 60, lines)
    after = _cpu_s(pid)
    elapsed = (time.monotonic() - began) / timedelta(minutes=1).total_seconds()
    by_part = {
        name: round((after[name] - before.get(name, 0.0)) / elapsed, 2) for name in sorted(after)
    }
    memory = _memory_mib(pid)
    return {
        "cpu_s_per_minute": round(sum(by_part.values()), 1),
        "memory_mib": round(sum(memory.values())),
        "cpu_by_part": {name: value for name, value in by_part.items() if value >= 0.05},
        "memory_by_part": memory,
    }


def _sleep_until(end: float, lines: _Lines | None = None) -> None:
    while time.monotonic() < end:
        if lines is not None:
            lines.send_due()
        time.sleep(_PAUSE_S)


def _tree(pid: int) -> Sequence[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _cpu_s(pid: int) -> dict[str, float]:
    """Return the CPU seconds of the parts so far, with those of children that have ended."""
    found: dict[str, float] = {}
    for process in _tree(pid):
        try:
            name = _part_of(process, pid)
            times = process.cpu_times()
        except psutil.NoSuchProcess:  # counted with its parent
            continue
        found[name] = found.get(name, 0.0) + sum(times[:4])
    return found


def _memory_mib(pid: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for process in _tree(pid):
        try:
            name = _part_of(process, pid)
            size = process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
        found[name] = found.get(name, 0) + (size >> 20)
    return found


def _part_of(process: psutil.Process, root: int) -> str:
    """Return the name of the part that a process belongs to: the command nearest to `up`."""
    chain = [process]
    while chain[-1].pid != root and (parent := chain[-1].parent()) is not None:
        chain.append(parent)
    lines = (" ".join(one.cmdline()) for one in reversed(chain))
    found = (name for line in lines for name, word in _PARTS.items() if word in line)
    return next(found, "up")


if __name__ == "__main__":
    print(json.dumps(run(*map(int, sys.argv[1:]))))
