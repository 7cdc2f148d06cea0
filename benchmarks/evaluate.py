"""Evaluation of many threshold definitions, against Prometheus with the same number of rules and
series in the same run.

Ticks of 60 s with one reading a second and asset; then ticks with one reading per asset, as
Prometheus sees them; then ticks of 60 s for which each asset delivers three readings a few seconds
after their tick was evaluated. Prometheus is measured in turns with ticks of one reading.

Every tick is a new process that reads definitions, states and readings from the database. Its CPU
counts together with the database server's, from the connection to the last write, without the start
of Python and its imports. One asset in a hundred gets too hot in each tick (its three lowest limits
raise and close), and one in a hundred is too hot all the time.

Prometheus is Debian's: apt-get install --no-install-recommends prometheus (no service of it need
run).
"""

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from alerting.adapters.memory.platform import MemoryModels, memory_platform
from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoClock, MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.deferred import load
from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.revisions import next_revision
from alerting.kinds.registry import kind_of, parse_definition
from alerting.ports import Platform, ReadingRow, WritePorts
from alerting.settings.machine import free_port
from alerting.stores.database.documents import DEFINITIONS, READINGS, REVISIONS
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from benchmarks.helpers.memory import peak_mib
from benchmarks.helpers.timing import cpu_seconds
from benchmarks.peers import prometheus

ASSETS = 1_000
RULES = 10_000
GROWTH = (100, 1_000, 10_000, 50_000)
T0 = datetime(2026, 1, 5, tzinfo=UTC)
TICK_S = 60
TICKS = 5
TURNS = 3
READING_GOAL_US = 5.0
LARGEST = GROWTH[-1]
LARGEST_GOAL_S = 1.0
FIRST_GOAL_CPU_S = 4.0
LATE_GOAL_S = 1.0
RATIO_GOAL = 2.2  # on a quiet machine; 1.5 at a load of four


def run(sizes: Sequence[int] = GROWTH) -> dict[str, Any]:
    """Return CPU microseconds per rule and tick with one reading, those of the peer, and of ticks
    of 60 readings by size."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedMongod(Path(folder) / "db", free_port()) as server,
    ):
        growth = {size: _measure(server, size) for size in sizes}
        turns = _take_turns(server)
    ours = growth[RULES]
    peer = turns["peer"]
    ratio = None if peer is None else round(peer["median"] / turns["ours"]["median"], 2)
    largest = growth[LARGEST]
    goals = {
        f"{READING_GOAL_US:g} CPU us per judged reading": ours["cpu_us_per_reading"]
        < READING_GOAL_US,
        f"{LARGEST} targets in {LARGEST_GOAL_S:g} s": largest["tick_s"] < LARGEST_GOAL_S,
        f"first tick of {LARGEST} in {FIRST_GOAL_CPU_S:g} CPU s": largest["first_tick"]["cpu_s"]
        < FIRST_GOAL_CPU_S,
        f"{RULES} late targets in {LATE_GOAL_S:g} s": ours["late"]["tick_s"] < LATE_GOAL_S,
        f"ratio {RATIO_GOAL:g}": ratio is not None and ratio >= RATIO_GOAL,
    }
    return {
        "benchmark": "evaluate",
        "figure": turns["ours"]["median"],
        "unit": (
            f"CPU us per rule and tick, {RULES} definitions over {ASSETS} assets, one reading "
            "each, with the database server"
        ),
        "peer": prometheus.INSTALL
        if peer is None
        else "Prometheus, as many rules over as many series, without scraping",
        "peer_figure": None if peer is None else peer["median"],
        "ratio": ratio,
        "goal": "; ".join(goals),
        "met": all(goals.values()),
        "missed": [goal for goal, is_met in goals.items() if not is_met],
        "turns": turns,
        "growth": {str(size): figures for size, figures in growth.items()},
        "load_average": round(os.getloadavg()[0], 1),
    }


def _measure(server: EmbeddedMongod, size: int) -> dict[str, Any]:
    """Return the measurements of ticks of one database with this number of definitions."""
    with connect(server.uri) as client:
        stores = MongoStores(client[f"plant_{size}"])
        prepare_database(stores.database)
        write_definitions(stores, size, T0)
        assets = min(size, ASSETS)
        random = np.random.default_rng(0)
        ticks = []
        for tick in range(TICKS + 1):
            write_readings(stores, assets, tick, TICK_S, random)
            ticks.append(_tick(server, stores, tick))
        ones = []
        for tick in range(TICKS + 1, 2 * TICKS + 1):
            write_readings(stores, assets, tick, 1, random)
            ones.append(_tick(server, stores, tick))
        lates = []
        for tick in range(2 * TICKS + 1, 3 * TICKS + 1):
            write_readings(stores, assets, tick, TICK_S, random)
            _deliver_late(stores, assets, tick)
            lates.append(_tick(server, stores, tick))
        client.drop_database(stores.database.name)
    first = ticks[0]
    later = ticks[1:]
    cpu = _median(later, "cpu_s")
    cpu_one = _median(ones, "cpu_s")
    return {
        "tick_s": round(_median(later, "seconds"), 2),
        "cpu_s": round(cpu, 2),
        "cpu_s_of_database": round(_median(later, "database_cpu_s"), 2),
        "cpu_us_per_reading": round(cpu / (size * TICK_S) * 1e6, 2),
        "peak_mib": round(_median(later, "peak_mib")),
        "raised": [tick["raised"] for tick in later],
        "one_reading": {
            "tick_s": round(_median(ones, "seconds"), 2),
            "cpu_us_per_rule": round(cpu_one / size * 1e6, 1),
        },
        "late": {
            "tick_s": round(_median(lates, "seconds"), 2),
            "cpu_ms_per_pair": round(_median(lates, "cpu_s") / size * 1e3, 3),
        },
        "first_tick": {"seconds": round(first["seconds"], 2), "cpu_s": round(first["cpu_s"], 2)},
    }


def _take_turns(server: EmbeddedMongod) -> dict[str, Any]:
    """Return CPU microseconds per rule of ticks with one reading and those of the peer, measured
    one after the other several times: smallest, median and largest."""
    ours: list[float] = []
    peers: list[float] = []
    with connect(server.uri) as client:
        stores = MongoStores(client["turns"])
        prepare_database(stores.database)
        write_definitions(stores, RULES, T0)
        random = np.random.default_rng(0)
        tick = 0
        for turn in range(TURNS):
            for number in range(TICKS + (turn == 0)):
                write_readings(stores, ASSETS, tick, 1, random)
                spent = _tick(server, stores, tick)["cpu_s"] / RULES * 1e6
                ours += [spent] * (turn > 0 or number > 0)  # without the first of all
                tick += 1
            if prometheus.is_installed():
                peers.append(_peer()["cpu_us_per_rule"])
        client.drop_database(stores.database.name)
    return {"ours": _spread(ours), "peer": _spread(peers) if peers else None}


def _spread(found: Sequence[float]) -> dict[str, float]:
    return {
        "min": round(min(found), 1),
        "median": round(statistics.median(found), 1),
        "max": round(max(found), 1),
    }


def write_definitions(stores: MongoStores, size: int, since: datetime) -> None:
    """Write definitions in service since an instant, and their assets."""
    variables = {"temperature": Variable(unit="°C")}
    stores.assets.store_assets(
        [Asset(name=asset_name(i), variables=variables) for i in range(min(size, ASSETS))]
    )
    documents = [definition_document(i) for i in range(size)]
    revisions = [
        next_revision(parse_definition(d), None, "benchmark", since, "benchmark") for d in documents
    ]
    stores.database[DEFINITIONS].insert_many(documents)
    stores.database[REVISIONS].insert_many(
        [{**r.model_dump(mode="json", by_alias=True), "at": r.at} for r in revisions]
    )


def definition_document(number: int) -> dict[str, Any]:
    """Return the document of a definition of the benchmark."""
    return {
        "name": f"hot-{number:05}",
        "kind": "threshold",
        "assets": [asset_name(number % ASSETS)],
        "variable": "temperature",
        "above": 100.0 + number // ASSETS,
        "schedule": {"every": "1m"},
    }


def asset_name(number: int) -> str:
    """Return the name of an asset of the benchmark."""
    return f"asset-{number:04}"


def write_readings(
    stores: MongoStores, assets: int, tick: int, count: int, random: np.random.Generator
) -> None:
    """Write so many readings of each asset before the instant of a tick."""
    end = T0 + timedelta(seconds=TICK_S * (tick + 1))
    values = random.normal(80, 3, (assets, count)).round(3)
    values[0::100] = 102.5  # too hot all the time
    values[1 + tick % 99 :: 100, : count // 2] = 102.5  # and these for half of the tick
    instants = [end - timedelta(seconds=i) for i in reversed(range(count))]
    for start in range(0, assets, 100):
        rows = range(start, min(start + 100, assets))
        stores.database[READINGS].insert_many(
            [
                {"asset": asset_name(row), "ts": at, "v": {"temperature": value}, "arrived_at": at}
                for row in rows
                for at, value in zip(instants, values[row].tolist(), strict=True)
            ],
            ordered=False,
        )


def writes_of(stores: MongoStores) -> WritePorts:
    """Return what writing of readings takes of the stores."""
    return WritePorts(reading_writes=stores.reading_writes, arrivals=stores.arrivals)


def _deliver_late(stores: MongoStores, assets: int, tick: int) -> None:
    """Write readings of the last seconds of the previous tick, through the platform's own
    ingest."""
    end = T0 + timedelta(seconds=TICK_S * tick)
    instants = [end - timedelta(seconds=second + 0.5) for second in range(3)]
    for number in range(assets):
        value = 80.0 if number % 100 else 102.5
        rows = [ReadingRow(asset_name(number), at, {"temperature": value}) for at in instants]
        add_readings(writes_of(stores), rows, end + timedelta(seconds=5))


def _tick(server: EmbeddedMongod, stores: MongoStores, tick: int) -> dict[str, float]:
    """Run one evaluation in its own process."""
    before = cpu_seconds(server.pid)
    end = T0 + timedelta(seconds=TICK_S * (tick + 1))
    command = [
        sys.executable,
        "-m",
        "benchmarks.evaluate",
        server.uri,
        stores.database.name,
        end.isoformat(),
    ]
    found: dict[str, float] = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )
    database = cpu_seconds(server.pid) - before
    return {**found, "cpu_s": found["cpu_s"] + database, "database_cpu_s": database}


def evaluate_once(uri: str, name: str, as_of: datetime) -> dict[str, float]:
    """Return the measurements of one evaluation in this process."""
    with connect(uri) as client:
        platform = platform_on(MongoStores(client[name]))
        # imports do not count: of kinds, and of pandas, which is loaded at its first use
        kind_of(parse_definition(definition_document(0)))
        load("pandas")
        gc.freeze()  # this and the next line as in tasks and in the stream service
        gc.set_threshold(100_000)
        wall = time.perf_counter()
        cpu = time.process_time()
        counts = evaluate(platform, None, as_of)
        wall = time.perf_counter() - wall
        cpu = time.process_time() - cpu
    return {
        "seconds": wall,
        "cpu_s": cpu,
        "peak_mib": peak_mib(),
        "targets": counts.targets,
        "raised": counts.raised,
    }


def platform_on(stores: MongoStores) -> Platform:
    """Return a platform on these stores, without a model registry, which thresholds do not need,
    and without channels."""
    platform = stores.platform(MemoryModels(), {}, MongoClock(stores.database), memory_platform)
    return replace(platform, latency=timedelta(0))  # like the peer, which waits for nothing


def _peer() -> dict[str, float]:
    """Return the measurements of the peer with the same rules and values, one reading a scrape."""
    random = np.random.default_rng(0)

    def page() -> str:
        values = random.normal(80, 3, ASSETS).round(3)
        values[0::100] = 102.5
        return "".join(
            f'temperature{{asset="{asset_name(i)}"}} {value}\n'
            for i, value in enumerate(values.tolist())
        )

    rules = [
        f'temperature{{asset="{d["assets"][0]}"}} > {d["above"]}'
        for d in map(definition_document, range(RULES))
    ]
    return {name: round(value, 2) for name, value in prometheus.cpu_per_rule(rules, page).items()}


def _median(ticks: Sequence[Mapping[str, float]], name: str) -> float:
    return statistics.median(tick[name] for tick in ticks)


if __name__ == "__main__":
    print(json.dumps(evaluate_once(sys.argv[1], sys.argv[2], datetime.fromisoformat(sys.argv[3]))))
