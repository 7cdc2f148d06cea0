"""`alerting stream` reads a database at its interval, and evaluates its rows at once. What it did
not read is read by the task of the scheduler: nothing is lost or doubled."""

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest

from alerting.adapters.airflow.dag_snapshot import read_by_service
from alerting.adapters.mongo.mongo import open_stores
from alerting.adapters.sources.claims import poll_claimed
from alerting.local.secrets import load_or_create
from alerting.settings.environment import LINK_KEY, Settings
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.sources.documents import apply_sources
from alerting.wiring import source_readers
from tests.builders import oven, too_hot
from tests.in_memory_platform import HandClock, platform_on

pytestmark = pytest.mark.server
DATABASE = "stream-polls"
SOURCE = {
    "kind": "sql",
    "url": {"env": "OVEN_DB_URL"},
    "table": "results",
    "cursor": "id",
    "asset": "oven-1",
    "every": "5s",
    "latency": "1s",
}
HANG_S = 600.0


class Line:
    """An oven whose temperatures are in a database, a definition of it, and services on it."""

    def __init__(self, stores, server, folder):
        self.folder = folder
        self.stores = stores
        self.began = datetime.now(UTC)
        self.platform = platform_on(stores, (), HandClock(self.began))
        self.table = folder / "oven.db"
        with sqlite3.connect(self.table) as database:
            database.execute("CREATE TABLE results (id integer, ts text, temperature real)")
        self.environ = {
            **os.environ,
            "ALERTING_MONGODB_URI": server,
            "ALERTING_DATABASE": DATABASE,
            "ALERTING_LATENCY": "1s",
            "OVEN_DB_URL": f"sqlite:///{self.table}",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        load_or_create(folder / "secrets")
        self.environ["ALERTING_LINK_KEY_FILE"] = str(folder / "secrets" / LINK_KEY)
        self.inserted = 0

    def insert(self, *temperatures):
        """Insert temperatures of now into the database of the oven."""
        with sqlite3.connect(self.table) as database:
            for value in temperatures:
                self.inserted += 1
                ts = datetime.now(UTC) + timedelta(milliseconds=self.inserted)
                row = (self.inserted, ts.isoformat(timespec="milliseconds"), value)
                database.execute("INSERT INTO results VALUES (?, ?, ?)", row)

    def stored(self):
        return self.stores.database["readings"].count_documents({})

    def open_episodes(self):
        return [e for e in self.platform.episodes.find() if e.closed_at is None]

    def read_as_scheduler(self, name="oven"):
        """Read a source as the task of Airflow does."""
        readers = source_readers(Settings(home=self.folder), self.environ)
        clock = HandClock(datetime.now(UTC))
        return poll_claimed(self.platform, readers, name, "scheduler", clock)

    @contextmanager
    def service(self, number=1):
        """The service as `alerting up` starts it; it is killed at the end."""
        environ = {**self.environ, "ALERTING_HOME": str(self.folder / f"home-{number}")}
        command = [sys.executable, "-m", "alerting.cli.main", "stream"]
        with (self.folder / "stream.log").open("ab") as log:
            process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(HANG_S)

    def wait(self, happened):
        end = time.monotonic() + HANG_S
        while not (found := happened()):
            assert time.monotonic() < end, (self.folder / "stream.log").read_text()[-3000:]
            time.sleep(0.05)
        return found


@pytest.fixture
def line(real_server, tmp_path):
    with open_stores(real_server, DATABASE, prepare=True) as stores:
        made = Line(stores, real_server, tmp_path)
        made.platform.assets.store_assets([oven()])
        yield made
        stores.database.client.drop_database(DATABASE)


def test_rows_are_evaluated_at_once_and_the_scheduler_reads_on_when_the_service_is_killed(
    line, record_property
):
    apply(line.platform, [too_hot()], "engineer", line.began, "test")
    evaluate(line.platform, None, line.began)
    line.insert(200.0)
    apply_sources(line.platform, [{**SOURCE, "name": "oven"}], "ada", line.began)
    with line.service() as running:
        line.wait(lambda: line.stored() == 1)
        line.wait(lambda: read_by_service(line.stores.database) == {"oven"})
        line.insert(230.0)
        began = time.monotonic()
        line.wait(line.open_episodes)
        took = time.monotonic() - began
        record_property("raised_after_s", round(took, 1))
        assert took < 40, "before a round of the scheduler, also on a busy machine"
        assert line.platform.deliveries.progress("oven").polled_by == "service"
        line.insert(231.0, 232.0)
        running.kill()
        running.wait(HANG_S)
    line.insert(233.0)
    found = line.wait(line.read_as_scheduler)  # a reading of the killed one may have been under way
    assert (found.refused, line.stored()) == (0, line.inserted)
    progress = line.platform.deliveries.progress("oven")
    assert (progress.rows, progress.polled_by) == (line.inserted, "scheduler")
    line.wait(lambda: read_by_service(line.stores.database) == set())
    with line.service(2):
        line.insert(234.0)
        line.wait(lambda: line.stored() == line.inserted)
        line.wait(lambda: read_by_service(line.stores.database) == {"oven"})
    assert len(line.open_episodes()) == 1


def test_each_source_is_read_by_one_of_two_services_and_by_the_other_when_that_is_killed(line):
    names = [f"oven-{number}" for number in range(10, 22)]
    apply_sources(line.platform, [{**SOURCE, "name": name} for name in names], "ada", line.began)
    line.insert(200.0)
    noted = line.stores.database["stream_processes"]

    def shares():
        return sorted(sorted(one["reads"]) for one in noted.find({"waiting": False}))

    with line.service(1) as first, line.service(2):
        line.wait(lambda: len(shares()) == 2 and all(shares()))
        line.wait(lambda: sorted(chain.from_iterable(shares())) == names)
        first.kill()
        first.wait(HANG_S)
        line.insert(201.0)
        line.wait(lambda: names in shares())
        line.wait(lambda: line.stored() == 2)
    rows = [line.platform.deliveries.progress(name).rows for name in names]
    assert sum(rows) == line.inserted, "a row that several sources have is new once"
