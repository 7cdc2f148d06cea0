"""Answers of a console process under load: 2,000 definitions, 100,000 episodes and a year of six
variables at one reading a second (31.5 million), with the clock running.

A process of its own sends twenty requests a second, each at its planned instant whether or not the
ones before it were answered, and measures from that instant; afterwards twenty clients ask without
a pause. Filling takes an hour: the database stays below ALERTING_BENCH_KEPT (.alerting/benchmarks),
an interrupted fill goes on, and a later run begins with measuring. The first paint is that of
Chromium, by its own timings.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.indexes import DEFINITIONS, EPISODES, READINGS, ROLLUPS
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.adapters.platform import Platform
from alerting.definitions.assets import Asset, Variable
from alerting.local.secrets import load_or_create
from alerting.ports import ReadingBatch, SampleColumn
from alerting.readings.instants import to_millis
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.usecases.upkeep.rollups import roll_up
from alerting.wiring import assemble
from benchmarks import console
from benchmarks.helpers.servers import started_server

YEAR = timedelta(days=365)
LINE = Asset(name="line-1", variables={f"s{i}": Variable(unit="°C") for i in range(6)})
CHUNK = timedelta(hours=3)
DATABASE = "alerting"
TOKEN = "engineer-of-the-benchmark"  # noqa: S105 - of a console that ends with the benchmark
A_SECOND = 20
SECONDS = 120
CLIENTS = 20
CLIENTS_S = 30
GOALS_MS = {
    "list of alarms": 100,
    "definitions": 150,
    "series of a day": 150,
    "series of four weeks": 150,
    "series of a year": 150,
    "series of an hour": 250,
}
WITHOUT_PAUSE_MS = 750
PAINT_MS = 1000
PAGES = ("/", "/definitions", "/trends?asset=line-1", "/models")


def run() -> dict[str, Any]:
    """Return the 99th percentile of the slowest kind of request, as a share of its goal."""
    kept = Path(os.environ.get("ALERTING_BENCH_KEPT", ".alerting/benchmarks")) / "console"
    kept.mkdir(parents=True, exist_ok=True)
    with EmbeddedMongod(kept / "db", free_port()) as server:
        client = connect(server.uri)
        stores = MongoStores(client[DATABASE])
        prepare_database(stores.database)
        end = _fill(stores, Settings(kept, mongodb_uri=server.uri), kept / "made.json")
        with started_console(server.uri, kept / "home") as address:
            steady = _in_a_process("steady", address, end)
            busy = _in_a_process("busy", address, end)
            paint = _first_paint(address)
        sizes = {name: _bytes(stores, name) for name in (READINGS, ROLLUPS)}
        client.close()
    slowest = max(GOALS_MS, key=lambda name: steady[name]["p99_ms"] / GOALS_MS[name])
    figure = steady[slowest]["p99_ms"]
    faults = sum(one["faults"] for found in (steady, busy) for one in found.values())
    slow = max(one["p99_ms"] for one in busy.values())
    return {
        "benchmark": "console_load",
        "figure": figure,
        "unit": f"ms, 99th percentile of {slowest} at {A_SECOND} requests a second",
        "peer": "the goal of this kind of request",
        "peer_figure": GOALS_MS[slowest],
        "ratio": round(GOALS_MS[slowest] / figure, 3),
        "goal": f"each kind within its goal, no fault, {CLIENTS} clients without a pause within "
        f"{WITHOUT_PAUSE_MS} ms, first paint within {PAINT_MS} ms",
        "met": figure <= GOALS_MS[slowest]
        and not faults
        and slow <= WITHOUT_PAUSE_MS
        and max(paint.values()) <= PAINT_MS,
        "steady": steady,
        "without_pause": busy,
        "first_paint_ms": paint,
        "bytes": sizes,
    }


def _fill(stores: MongoStores, settings: Settings, made: Path) -> datetime:
    """Fill the database, or go on with it; return the instant after the last reading."""
    if not made.exists():
        made.write_text(json.dumps(datetime.now(UTC).replace(minute=0, second=0).isoformat()))
    end = datetime.fromisoformat(json.loads(made.read_text())).replace(microsecond=0)
    platform = assemble(settings, stores, channels=False)
    if stores.database[EPISODES].estimated_document_count() < console.EPISODES_MADE:
        stores.database[EPISODES].delete_many({})
        stores.database[DEFINITIONS].delete_many({})
        console.fill(stores, end - timedelta(minutes=console.EPISODES_MADE))
    platform.assets.store_assets([*platform.assets.all(), LINE])
    newest = platform.readings.newest_readings().get(LINE.name)
    start = newest.ts + timedelta(seconds=1) if newest else end - YEAR
    _read_until(platform, start, end)
    while (done := roll_up(platform, end + timedelta(hours=1))).behind and done.rows:
        print(f"rolled up {done.rows} instants", file=sys.stderr)
    return end


def _read_until(platform: Platform, start: datetime, end: datetime) -> None:
    """Store readings from `start` until `end`."""
    rng = np.random.default_rng(1)
    began = time.monotonic()
    count = 0
    while start < end:
        until = min(start + CHUNK, end)
        at = np.arange(to_millis(start), to_millis(until), 1000)
        there = np.ones(len(at), np.bool_)
        columns = {
            name: SampleColumn(np.round(rng.normal(200, 5, len(at)), 2), there)
            for name in LINE.variables
        }
        platform.reading_writes.insert(
            ReadingBatch(np.array([LINE.name] * len(at), object), at, columns), until
        )
        count += len(at)
        if until.hour < CHUNK / timedelta(hours=1):
            rate = count / (time.monotonic() - began)
            print(f"{until:%Y-%m-%d}: {rate:.0f} instants a second", file=sys.stderr)
        start = until


@contextmanager
def started_console(uri: str, home: Path) -> Iterator[str]:
    """Yield the address of a console process on a database, with the keys of a home."""
    with tempfile.TemporaryDirectory() as folder:
        load_or_create(home / "secrets")
        tokens = Path(folder) / "tokens.json"
        tokens.write_text(json.dumps({TOKEN: {"name": "ada", "role": "admin"}}), encoding="utf-8")
        tokens.chmod(0o600)
        port = free_port()
        environ = os.environ | {
            "ALERTING_HOME": str(home),
            "ALERTING_MONGODB_URI": uri,
            "ALERTING_DATABASE": DATABASE,
            "ALERTING_API_TOKENS_FILE": str(tokens),
            "ALERTING_API_PORT": str(port),
        }
        address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "alerting.console.serve"]
        with started_server(command, environ, f"{address}/api/v1/health"):
            yield address


def _paths(end: datetime) -> dict[str, str]:
    """Return the path of each kind of request."""

    def series(length: timedelta) -> str:
        given = {"asset": LINE.name, "variable": [*LINE.variables], "start": end - length}
        return f"/api/v1/series?{urlencode({**given, 'end': end}, doseq=True)}"

    return {
        "list of alarms": "/",
        "definitions": "/definitions",
        "series of a day": series(timedelta(days=1)),
        "series of four weeks": series(timedelta(weeks=4)),
        "series of a year": series(YEAR),
        "series of an hour": series(timedelta(hours=1)),
    }


def _in_a_process(kind: str, address: str, end: datetime) -> dict[str, Any]:
    """Return what another process measured."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.console_load", kind, address, end.isoformat()],
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def _measure(kind: str, address: str, paths: Mapping[str, str]) -> dict[str, Any]:
    """Return times of answers and faults by kind of request."""
    times: dict[str, list[float]] = defaultdict(list)
    faults: dict[str, int] = defaultdict(int)
    names = [*paths]
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(
        base_url=address, headers=headers, trust_env=False, timeout=60, limits=limits
    ) as client:

        async def ask(name: str, planned: float) -> None:
            try:
                answer = await client.get(paths[name])
                faults[name] += not answer.is_success
            except httpx.HTTPError:
                faults[name] += 1
            times[name].append((time.perf_counter() - planned) * 1000)

        for name in names:  # once to warm up
            await ask(name, time.perf_counter())
        times.clear()
        begin = time.perf_counter()
        if kind == "steady":
            under_way = []
            for number in range(A_SECOND * SECONDS):
                planned = begin + number / A_SECOND
                await asyncio.sleep(max(0.0, planned - time.perf_counter()))
                under_way.append(asyncio.create_task(ask(names[number % len(names)], planned)))
            await asyncio.gather(*under_way)
        else:

            async def without_pause(number: int) -> None:
                while time.perf_counter() < begin + CLIENTS_S:
                    number += 1
                    await ask(names[number % len(names)], time.perf_counter())

            await asyncio.gather(*(without_pause(number) for number in range(CLIENTS)))
    return {name: _summary(times[name], faults[name]) for name in names}


def _summary(times: Sequence[float], faults: int) -> dict[str, Any]:
    p50, p99 = np.percentile(times, [50, 99])
    return {
        "requests": len(times),
        "faults": faults,
        "median_ms": round(float(p50), 1),
        "p99_ms": round(float(p99), 1),
    }


def _first_paint(address: str) -> dict[str, float]:
    """Return the milliseconds until the first contents of each page are painted."""
    chromium = import_module("tests.helpers.console.chromium")
    asked = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
    with tempfile.TemporaryDirectory() as profile, chromium.open_chromium(profile) as page:
        page.switch_scripts_on()
        page.open(f"{address}/login")
        page.evaluate(
            f"document.querySelector('[name=token]').value = {TOKEN!r};"
            "document.querySelector('[name=token]').form.submit()"
        )
        page.wait_for(f"{address}/", "form[action$='/logout']")
        found = {}
        for path in PAGES:
            page.open(f"{address}{path}")
            chromium.wait_until(lambda: page.evaluate(asked))
            found[path] = round(float(page.evaluate(asked)), 1)
    return found


def _bytes(stores: MongoStores, collection: str) -> dict[str, int]:
    stats = next(
        iter(stores.database[collection].aggregate([{"$collStats": {"storageStats": {}}}]))
    )
    return {name: int(stats["storageStats"][name]) for name in ("count", "size", "storageSize")}


if __name__ == "__main__":
    KIND, ADDRESS, END = sys.argv[1:]
    measured = asyncio.run(_measure(KIND, ADDRESS, _paths(datetime.fromisoformat(END))))
    print(json.dumps(measured))
