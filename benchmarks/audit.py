"""Pages of the audit with 1,000,000 entries, each filter against the plain query of its entries.

The application runs in this process, signed in, on a real embedded server; the slowest filter
counts. 40 % of the entries are the platform's own, the rest of 200 people; of 20,000 things some
have very many entries, most few. The export is read whole, in the memory that it takes.
"""

import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi.testclient import TestClient

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.indexes import AUDIT
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.console.app import create_app
from alerting.console.people.audit_page import csv_lines
from alerting.ports import AuditFilter
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.usecases.access.audit import PAGE, entries_newest_first
from alerting.wiring import assemble
from benchmarks.console import SIGN_IN

ENTRIES = 1_000_000
PEOPLE = 200
THINGS = 20_000
ACTIONS = 40
BATCH = 10_000
ROUNDS = 60
GOAL_MS = 100
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=30)


def run() -> dict[str, Any]:
    """Return milliseconds of the slowest filter at the 99th percentile of sixty requests."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedMongod(Path(folder) / "db", free_port()) as server,
    ):
        client = connect(server.uri)
        stores = MongoStores(client["audit"])
        prepare_database(stores.database)
        _fill(stores)
        settings = Settings(Path(folder), mongodb_uri=server.uri)
        browser = TestClient(create_app(assemble(settings, stores, channels=False), SIGN_IN))
        browser.post("/login", data={"token": next(iter(SIGN_IN))})
        filters = {name: _filter(browser, stores, one) for name, one in _filters(stores).items()}
        export = _export(browser)
        client.close()
    slowest = max(filters, key=lambda name: filters[name]["page_p99_ms"])
    figure = filters[slowest]["page_p99_ms"]
    peer = filters[slowest]["query_p50_ms"]
    return {
        "benchmark": "audit",
        "figure": figure,
        "unit": f"ms, 99th percentile of the slowest filter ({slowest}) with {ENTRIES} entries",
        "peer": "the bare query of the entries that the page shows, median",
        "peer_figure": peer,
        "ratio": round(peer / figure, 3),
        "goal": f"< {GOAL_MS} ms",
        "met": figure < GOAL_MS,
        "filters": filters,
        "export": export,
    }


def _fill(stores: MongoStores) -> None:
    chance = random.Random(7)  # noqa: S311 - entries of a benchmark
    audit = stores.database[AUDIT]
    for start in range(0, ENTRIES, BATCH):
        audit.insert_many([_entry(chance, n) for n in range(start, start + BATCH)], ordered=False)


def _entry(chance: random.Random, n: int) -> dict[str, Any]:
    person = int(PEOPLE * chance.random() ** 2)
    is_ours = chance.random() < 0.4
    return {
        "actor": "platform" if is_ours else f"person-{person}",
        "what": f"action {int(ACTIONS * chance.random() ** 2)}",
        "subject": f"thing-{int(THINGS * chance.random() ** 4)}",
        "at": FIRST + n * STEP,
        "before": {"state": "open", "limit": n % 17, "comment": None},
        "after": {"state": "closed", "limit": n % 19, "comment": "the damper was stuck"},
        "why": "checked on site",
        "origin": f"console 10.0.{n % 7}.{n % 250}",
        "key": f"{n:032x}",
    }


def _filters(stores: MongoStores) -> dict[str, dict[str, str]]:
    """Return the fields of each form: usual things and rare ones, new times and old ones."""
    end = FIRST + ENTRIES * STEP
    month = {
        "from": f"{end - timedelta(days=200):%Y-%m-%dT%H:%M}",
        "to": f"{end - timedelta(days=170):%Y-%m-%dT%H:%M}",
    }
    oldest = stores.audit.find(AuditFilter(end=FIRST + 500 * STEP), 1)[0]
    cursor = {"cursor": f"{int(oldest.at.timestamp() * 1000)}_{oldest.id}"}
    rare = {"actor": f"person-{PEOPLE - 1}"}
    busy = {"subject": "thing-0"}
    return {
        "none": {},
        "oldest page": cursor,
        "person": {"actor": "platform"},
        "rare person": rare,
        "oldest page of a person": {"actor": "platform"} | cursor,
        "thing": busy,
        "rare thing": {"subject": f"thing-{THINGS - 1}"},
        "action": {"what": "action 39"},
        "time": month,
        "person and time": rare | month,
        "thing and time": busy | month,
        "person and thing": rare | busy,
        "person and action": rare | {"what": "action 39"},
        "thing and action": busy | {"what": "action 39"},
        "all four": rare | busy | {"what": "action 39"} | month,
        "nothing fits": {"actor": "platform", "subject": "nothing"},
    }


def _filter(browser: TestClient, stores: MongoStores, fields: dict[str, str]) -> dict[str, float]:
    page = f"/audit?{urlencode(fields)}"
    start, end = (
        datetime.fromisoformat(fields[name]).replace(tzinfo=UTC) if name in fields else None
        for name in ("from", "to")
    )
    wanted = AuditFilter(fields.get("actor"), fields.get("subject"), fields.get("what"), start, end)
    at, _, id = fields.get("cursor", "").partition("_")
    older = (datetime.fromtimestamp(int(at) / 1000, UTC), id) if at else None

    def show() -> None:
        if browser.get(page).status_code != 200:
            raise AssertionError(page)

    measured = _percentiles("page", show)
    return measured | _percentiles("query", lambda: stores.audit.find(wanted, PAGE + 1, older))


def _percentiles(name: str, work: Callable[[], Any]) -> dict[str, float]:
    """Return wall milliseconds at the median and the 99th percentile, after one to warm up."""
    work()
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1000)
    p99 = statistics.quantiles(taken, n=100, method="inclusive")[98]
    return {
        f"{name}_p50_ms": round(statistics.median(taken), 2),
        f"{name}_p99_ms": round(p99, 2),
    }


def _export(browser: TestClient) -> dict[str, Any]:
    """Return the lines a second of the whole CSV, and by how much the process grew for it.

    The application is read directly: the client of tests holds a whole response.
    """
    audit = browser.app.state.platform.audit  # type: ignore[attr-defined]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    lines = sum(1 for _ in csv_lines(entries_newest_first(audit, AuditFilter())))
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "lines": lines,
        "lines_per_s": round(lines / seconds),
        "memory_mib": round((after - before) / 1024, 1),
    }
