"""A year of a plant: sizes, nightly work and the slowest page, month by month, in simulated time.

One asset at one reading a second and 100 assets at one a minute, with five variables each: 84
million readings. 100 thresholds on all of them: 10,100 targets. Each day its readings are stored,
all targets are evaluated, and then the upkeep of the night is done: rollups, archived months
(`ALERTING_ARCHIVE_AFTER=31d`), retention. At the end of each month the sizes of the database and of
the archive are counted, and pages are opened.

`YEAR_SHARE=0.1` takes so much of the year. It needs 60 GB of free disk for all of it, and says so
before it starts.
"""

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.documents import MongoDatabase
from alerting.adapters.platform import Platform
from alerting.console.app import create_app
from alerting.definitions.assets import Asset, Variable
from alerting.ports import FixedClock, ReadingBatch, SampleColumn
from alerting.settings.environment import read_settings
from alerting.settings.machine import free_port
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.upkeep.archive import archive_readings
from alerting.usecases.upkeep.maintain import maintain
from alerting.usecases.upkeep.retention import retain
from alerting.wiring import open_platform, open_stores, prepare_database
from benchmarks.console import SIGN_IN
from benchmarks.helpers.timing import cpu_seconds_with

START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = 365
FAST = "press-1"
SLOW = [f"oven-{number:03}" for number in range(100)]
VARIABLES = [f"v{number}" for number in range(5)]
THRESHOLDS = 100
SPACE_GB = 60
MOST_RUNS = 100
ROUNDS = 5
NIGHT_GOAL_S = 3600.0
PAGE_GOAL_MS = 1000.0


def run(share: float = float(os.environ.get("YEAR_SHARE", "1"))) -> dict[str, Any]:
    """Return the size of the database after the year, and the table of its months. Raises
    SystemExit without room for it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        free = shutil.disk_usage(folder).free / 1e9
        if free < SPACE_GB * share:
            raise SystemExit(
                f"{SPACE_GB * share:.0f} GB of free disk are needed, and {folder} has {free:.0f}; "
                "set TMPDIR to a larger one, or take a part of the year with YEAR_SHARE=0.1"
            )
        with EmbeddedMongod(folder / "db", free_port()) as server:
            home = folder / "home"
            home.mkdir(mode=0o700)
            os.environ |= {
                "ALERTING_HOME": str(home),
                "ALERTING_MONGODB_URI": server.uri,
                "ALERTING_ARCHIVE_AFTER": "31d",
            }
            settings = read_settings(os.environ)
            prepare_database(settings)
            with (
                open_platform(settings, channels=False) as platform,
                open_stores(settings) as stores,
            ):
                months = list(_months(platform, stores.database, server.pid, round(DAYS * share)))
    nights = [month["nights_s"]["longest"] for month in months]
    pages = [month["pages_ms"][month["slowest_page"]] for month in months]
    return {
        "benchmark": "year",
        "figure": months[-1]["database_mib"] + months[-1]["archive_mib"],
        "unit": f"MiB of the database and the archive after {round(DAYS * share)} days",
        "peer": None,
        "ratio": None,
        "goal": f"each night under {NIGHT_GOAL_S / 3600:g} h, each page under {PAGE_GOAL_MS:g} ms",
        "met": max(nights) < NIGHT_GOAL_S and max(pages) < PAGE_GOAL_MS,
        "months": months,
        "load": round(os.getloadavg()[0], 1),
    }


def _months(
    platform: Platform, database: MongoDatabase, server: int, days: int
) -> Iterator[dict[str, Any]]:
    """Live through the days; yield the figures of each month, the last one perhaps of a part."""
    known = {name: Variable(unit="°C") for name in VARIABLES}
    platform.assets.store_assets([Asset(name=name, variables=known) for name in (FAST, *SLOW)])
    documents = [
        {
            "name": f"hot-{number:03}",
            "kind": "threshold",
            "assets": ["*"],
            "variable": VARIABLES[number % len(VARIABLES)],
            "above": 100.0 + number // len(VARIABLES),
            "for": "1m",
        }
        for number in range(THRESHOLDS)
    ]
    apply(platform, documents, "benchmark", START, "benchmark")
    random = np.random.default_rng(0)
    stored = 0
    live: list[dict[str, float]] = []
    for day in range(days):
        begin = START + day * DAY
        now = begin + DAY + timedelta(minutes=15)
        simulated = replace(platform, clock=FixedClock(now))
        live.append({})
        with _Measured(live[-1], "store", server):
            stored += _store_day(simulated, begin, now, random)
        with _Measured(live[-1], "evaluate", server):
            evaluate(simulated, None, now)
        with _Measured(live[-1], "night", server):
            _do_nightly_work(simulated, now)
        if (begin + DAY).month != begin.month or day == days - 1:
            month = {
                "until": f"{begin:%Y-%m-%d}",
                "readings": stored,
                **_sizes(database, platform),
                **_summary(live),
                **_open_pages(simulated, now),
            }
            print(json.dumps(month), file=sys.stderr, flush=True)
            yield month
            live.clear()


class _Measured:
    """Records wall seconds and CPU seconds, with the database server's, of a block."""

    def __init__(self, into: dict[str, float], name: str, server: int) -> None:
        self._into = into
        self._name = name
        self._server = server

    def __enter__(self) -> None:
        self._cpu = cpu_seconds_with(self._server)
        self._wall = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._into[self._name] = time.perf_counter() - self._wall
        cpu = cpu_seconds_with(self._server) - self._cpu
        self._into[f"{self._name}_cpu"] = cpu


def _store_day(
    platform: Platform, begin: datetime, now: datetime, random: np.random.Generator
) -> int:
    """Store the readings of a day; the quick asset and one in seven of the
    others are too hot for five minutes."""
    first = int(begin.timestamp() * 1000)
    stored = 0
    for name, step in ((FAST, 1000), *((name, 60_000) for name in SLOW)):
        at = np.arange(first + step, first + 86_400_000 + 1, step)
        values = np.round(80 + 3 * random.standard_normal((len(at), len(VARIABLES))), 1)
        if name == FAST or random.integers(7) == 0:
            hot = random.integers(len(at) - 300_000 // step)
            values[hot : hot + 300_000 // step] += random.uniform(15, 30)
        for start in range(0, len(at), 20_000):
            part = slice(start, start + 20_000)
            there = np.ones(len(at[part]), np.bool_)
            columns = {
                variable: SampleColumn(values[part, place].copy(), there)
                for place, variable in enumerate(VARIABLES)
            }
            batch = ReadingBatch(np.full(len(there), name, object), at[part], columns)
            platform.reading_writes.insert(batch, now)
        stored += len(at)
    return stored


def _do_nightly_work(platform: Platform, now: datetime) -> None:
    """Roll the day up, archive due months, and delete what is older than its retention."""
    for _ in range(MOST_RUNS):
        if not maintain(platform, now)["rolled_up"]:
            break
    else:
        raise RuntimeError(f"the rollups are still behind after {MOST_RUNS} runs")
    found = archive_readings(platform, now)
    if found.faults:
        raise RuntimeError(found.faults[0])
    retain(platform, now)


def _sizes(database: MongoDatabase, platform: Platform) -> dict[str, Any]:
    """Return the room that collections with their indexes take, and the archive (MiB)."""
    found: dict[str, tuple[float, float]] = {}
    for name in database.list_collection_names(filter={"type": {"$ne": "view"}}):
        for stats in database[name].aggregate([{"$collStats": {"storageStats": {}}}]):
            one = stats["storageStats"]
            found[name] = one["storageSize"] / (1 << 20), one["totalIndexSize"] / (1 << 20)
    largest = sorted(found, key=lambda name: -sum(found[name]))[:5]
    archive = platform.archive
    files = [] if archive is None else [f for name in (FAST, *SLOW) for f in archive.files(name)]
    return {
        "database_mib": round(sum(map(sum, found.values()))),
        "of_it_indexes_mib": round(sum(index for _, index in found.values())),
        "largest_mib": {name: round(sum(found[name])) for name in largest},
        "archive_mib": round(sum(file.bytes for file in files) / (1 << 20)),
        "episodes": database["episodes"].estimated_document_count(),
    }


def _summary(live: list[dict[str, float]]) -> dict[str, Any]:
    def summarise(name: str) -> dict[str, float]:
        values = [day[name] for day in live]
        return {
            "median": round(statistics.median(values), 1),
            "longest": round(max(values), 1),
            "median_cpu": round(statistics.median(day[f"{name}_cpu"] for day in live), 1),
        }

    return {
        "stored_s": summarise("store"),
        "evaluated_s": summarise("evaluate"),
        "nights_s": summarise("night"),
    }


def _open_pages(platform: Platform, now: datetime) -> dict[str, Any]:
    """Return the median time of each page, in the simulated present."""
    browser = TestClient(create_app(platform, SIGN_IN, now=lambda: now))
    browser.post("/login", data={"token": next(iter(SIGN_IN))})
    newest = platform.episodes.find(limit=1)[0]
    series = (
        f"/api/v1/series?asset={FAST}&variable=v0&start={START:%Y-%m-%dT%H:%M:%SZ}"
        f"&end={now:%Y-%m-%dT%H:%M:%SZ}"
    )
    pages: Mapping[str, str] = {
        "now": "/",
        "asset": f"/assets/{FAST}",
        "plant": "/plant",
        "definition": "/definitions/hot-000",
        "handover": "/handover",
        "series of all months": series,
        "episode": f"/episodes/{newest.id}",
    }
    times = {}
    for name, path in pages.items():
        taken = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            answer = browser.get(path, headers={"authorization": f"Bearer {next(iter(SIGN_IN))}"})
            taken.append((time.perf_counter() - began) * 1000)
            assert answer.status_code == 200, (name, answer.status_code, answer.text[:300])
        times[name] = round(statistics.median(taken), 1)
    return {"slowest_page": max(times, key=lambda name: times[name]), "pages_ms": times}
