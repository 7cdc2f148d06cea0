"""Open event streams of the console while alarms are raised: from commit to arrival.

The API, the raises and the readers run in three processes on a real embedded server. One row: what
500 streams get of 100 raises a second for a minute.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.detection.evaluation import Evaluation
from alerting.episodes.episode import Episode, episode_id
from alerting.local.secrets import load_or_create
from alerting.settings.machine import free_port
from benchmarks.helpers.memory import peak_mib

STREAMS = 500
PEOPLE = 20
RAISES = 100
SECONDS = 60
LAST_S = 5.0
GOAL_S = 1.0
GOAL_CORE = 0.5
GOAL_MIB = 114  # 120 MB, in all
DATABASE = "live"
FIRST = datetime(2026, 1, 5, tzinfo=UTC)


def run() -> dict[str, Any]:
    """Return seconds from commit to arrival, streams that got the last state, and what the API
    took."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedMongod(Path(folder) / "db", free_port()) as mongod,
    ):
        with closing(connect(mongod.uri)) as client:
            prepare_database(client[DATABASE])
        port = free_port()
        api = _start(Path(folder), mongod.uri, port)
        try:
            return _measure(api, mongod.uri, port)
        finally:
            began = time.monotonic()
            api.terminate()
            api.wait(60)
            print(f"the API ended in {time.monotonic() - began:.1f} s", file=sys.stderr)


def _measure(api: "subprocess.Popen[bytes]", uri: str, port: int) -> dict[str, Any]:
    _await_health(port)
    context = get_context("spawn")
    process = psutil.Process(api.pid)
    before = process.memory_info().rss >> 20
    with ProcessPoolExecutor(1, context) as readers, ProcessPoolExecutor(1, context) as raiser:
        barrier = time.time() + 15.0
        reading = readers.submit(read_streams, port, barrier + SECONDS + LAST_S)
        time.sleep(max(0.0, barrier - 2 - time.time()))
        spent = sum(process.cpu_times()[:2])
        began = time.time()
        raising = raiser.submit(raise_alarms, uri, barrier)
        commits = raising.result()
        cpu = (sum(process.cpu_times()[:2]) - spent) / (time.time() - began)
        frames, arrivals, counts = reading.result()
    late = np.concatenate(
        [
            np.repeat(at, len(ids)) - np.array([commits[id] for id in ids])
            for frame, at in arrivals
            if (ids := [id for id in frames[frame] if id in commits])
        ]
    )
    wanted = RAISES * SECONDS
    last = sum(count == wanted for count in counts)
    p99 = float(np.quantile(late, 0.99))
    peak = peak_mib(api.pid)
    return {
        "streams": len(counts),
        "raised_a_second": round(wanted / (max(commits.values()) - min(commits.values())), 1),
        "told": round(len(late) / (STREAMS * wanted), 4),
        "told_last_state": last,
        "p50_s": round(float(np.quantile(late, 0.5)), 3),
        "p99_s": round(p99, 3),
        "longest_s": round(float(late.max()), 3),
        "core": round(cpu, 2),
        "before_mib": before,
        "peak_mib": peak,
        "load": round(os.getloadavg()[0], 1),
        "goal_s": GOAL_S,
        "met": p99 < GOAL_S and last == STREAMS and cpu < GOAL_CORE and peak < GOAL_MIB,
    }


def _start(home: Path, uri: str, port: int) -> "subprocess.Popen[bytes]":
    load_or_create(home / "secrets")
    tokens = home / "tokens.json"
    tokens.write_text(
        json.dumps({_token(n): {"name": f"reader-{n}", "role": "viewer"} for n in range(PEOPLE)})
    )
    tokens.chmod(0o600)
    own = {
        "ALERTING_HOME": str(home),
        "ALERTING_MONGODB_URI": uri,
        "ALERTING_DATABASE": DATABASE,
        "ALERTING_API_PORT": str(port),
        "ALERTING_API_TOKENS_FILE": str(tokens),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "alerting.console.serve"], env={**os.environ, **own}
    )


def _token(number: int) -> str:
    return f"token-of-reader-{number:04d}"


def _await_health(port: int) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/api/v1/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError("the API did not start")


def raise_alarms(uri: str, begin: float) -> dict[str, float]:
    """Raise alarms at a steady rate from an instant on; return the time of each commit by id."""
    commits = {}
    one = Episode(
        *("", "too-hot", 1, "threshold", "", "Oven too hot", "high", FIRST, FIRST, "open", None),
        evaluation=Evaluation(FIRST, "triggered", "218 °C is above 215 °C", 218.0, 215.0),
    )
    with closing(connect(uri)) as client:
        episodes = MongoStores(client[DATABASE]).episodes
        for n in range(RAISES * SECONDS):
            time.sleep(max(0.0, begin + n / RAISES - time.time()))
            asset = f"oven-{n}"
            at = FIRST + timedelta(seconds=n)
            made = replace(one, id=episode_id("too-hot", asset, at), asset=asset, raised_at=at)
            episodes.insert(made)
            commits[made.id] = time.time()
    return commits


def read_streams(
    port: int, until: float
) -> tuple[list[list[str]], list[tuple[int, float]], list[int]]:
    """Read all streams until a time. Return the ids in each distinct frame, which of them arrived
    at which time, and the number of open alarms that each stream told last."""
    numbers: dict[bytes, int] = {}
    arrivals: list[tuple[int, float]] = []
    last = [b""] * STREAMS

    async def follow(stream: int) -> None:
        await asyncio.sleep(stream / 100)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        token = _token(stream % PEOPLE)
        request = f"GET /api/v1/live HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}"
        writer.write(f"{request}\r\n\r\n".encode())
        while True:
            event = await reader.readuntil(b"\n\n")
            _, found, data = event.rpartition(b"data: ")
            if found and data.startswith(b'{"all"'):
                arrivals.append((numbers.setdefault(data, len(numbers)), time.time()))
                last[stream] = data

    async def follow_all() -> None:
        async with asyncio.timeout(until - time.time()):
            await asyncio.gather(*(follow(n) for n in range(STREAMS)))

    with suppress(TimeoutError):
        asyncio.run(follow_all())
    frames = [[one["id"] for one in json.loads(data)["episodes"]] for data in numbers]
    counts = [sum(json.loads(data)["open"].values()) if data else -1 for data in last]
    return frames, arrivals, counts
