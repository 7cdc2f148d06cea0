"""`alerting stream` as processes on a real database: what comes becomes an episode and a
notification at once, and nothing is lost or doubled when a process is killed."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from alerting.adapters.airflow.dag_snapshot import read_by_service
from alerting.adapters.mongo.mongo import open_stores
from alerting.adapters.sources.claims import poll_claimed
from alerting.local.secrets import load_or_create
from alerting.ports import ReadingRow
from alerting.settings.environment import LINK_KEY, Settings
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate, evaluate_shard, plan_round
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.sources.documents import apply_sources, set_state
from alerting.wiring import source_readers
from tests.builders import oven, too_hot
from tests.helpers.brokers import SERVERS
from tests.in_memory_platform import HandClock, Mailbox, platform_on

pytestmark = pytest.mark.server
DATABASE = "stream"
HANG_S = 600.0
MINUTE = timedelta(minutes=1)
ASSETS = [f"oven-{i}" for i in range(1, 6)]
ROWS = 60


class Line:
    """Ovens with one definition, and services that evaluate them."""

    def __init__(self, stores, server, folder):
        self.folder = folder
        self.stores = stores
        self.began = datetime.now(UTC)
        self.platform = platform_on(stores, [Mailbox("mail")], HandClock(self.began))
        self.log = folder / "stream.log"
        load_or_create(folder / "secrets")
        self.environ = {
            **os.environ,
            "ALERTING_MONGODB_URI": server,
            "ALERTING_DATABASE": DATABASE,
            "ALERTING_LATENCY": "0s",
            "ALERTING_LINK_KEY_FILE": str(folder / "secrets" / LINK_KEY),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        self.platform.assets.store_assets(
            [oven().model_copy(update={"name": name}) for name in ASSETS]
        )
        rule = too_hot(assets=["oven-*"], stale_after="1h")
        apply(self.platform, [rule], "engineer", self.began - MINUTE, "test")

    def add_source(self, **fields):
        apply_sources(self.platform, [{"latency": "0s", **fields}], "ada", self.began)

    @contextmanager
    def service(self, number=1):
        """The service as `alerting up` starts it; it is killed at the end."""
        environ = {**self.environ, "ALERTING_HOME": str(self.folder / f"home-{number}")}
        command = [sys.executable, "-m", "alerting.cli.main", "stream"]
        command += ["--alive", str(self.folder / f"alive-{number}")]
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(HANG_S)

    def wait(self, happened):
        end = time.monotonic() + HANG_S
        while not (found := happened()):
            assert time.monotonic() < end, self.log.read_text()[-3000:]
            time.sleep(0.05)
        return found

    def stored(self):
        return {
            (row["asset"], row["ts"]): row["v"]["temperature"]
            for row in self.stores.database["readings"].find()
        }

    def open_episodes(self):
        return [e for e in self.platform.episodes.find() if e.closed_at is None]

    def told(self):
        sent = self.platform.notifications.sent_since(self.began - MINUTE)
        return [n.key for n in sent if ":raised" in n.key]

    def publish(self, server, topic, *rows):
        """Publish temperatures of the first oven by their instants."""
        payloads = [
            json.dumps({"ts": ts.isoformat(), "values": {"temperature": value}}).encode()
            for ts, value in rows
        ]
        server.publish(topic.replace("{asset}", ASSETS[0]), payloads)

    def is_read(self, server, topic):
        """Publish an old reading, and return whether one is stored: MQTT keeps messages from the
        first subscription on."""
        self.publish(server, topic, (self.began - timedelta(hours=1), 200.0))
        return self.stored()


@pytest.fixture
def line(real_server, tmp_path):
    with open_stores(real_server, DATABASE, prepare=True) as stores:
        yield Line(stores, real_server, tmp_path)
        stores.database.client.drop_database(DATABASE)


@contextmanager
def broker_of(line, kind):
    """A running broker, whose address services know, and the topic of readings."""
    server = SERVERS[kind](line.folder)
    server.start()
    line.environ["BROKER_URL"] = server.address(server.port)
    try:
        yield server, server.separator.join(["line-3", "{asset}", "readings"])
    finally:
        server.stop()


def test_message_is_episode_and_notification_at_once_and_scheduler_takes_over_from_killed_service(
    line,
):
    with broker_of(line, "mqtt") as (server, topic):
        url = {"env": "BROKER_URL"}
        line.add_source(name="line", kind="mqtt", url=url, topic=topic, state="paused")
        with line.service() as process:
            line.wait((line.folder / "alive-1").exists)
            assert psutil.Process(process.pid).memory_info().rss < 100e6  # it waits for a source
            set_state(line.platform, "line", "active", "ada", line.began)
            line.wait(lambda: line.is_read(server, topic))
            line.publish(server, topic, (datetime.now(UTC), 230.0))
            line.wait(lambda: line.open_episodes() and len(line.told()) == 1)
        # the service is dead: the scheduler's task goes on
        later = datetime.now(UTC) + timedelta(seconds=2)
        add_readings(line.platform, [ReadingRow("oven-1", later, {"temperature": 200.0})], later)
        plan = plan_round(line.platform, MINUTE, 1, later)
        has_requests = plan.late.has_requests
        closed = evaluate_shard(line.platform, MINUTE, 0, 1, later, plan.source_hash, has_requests)
        assert (closed.closed, line.open_episodes()) == (1, [])
        with line.service() as process:
            # it goes on where the scheduler has stopped, and stops in order
            line.wait(lambda: line.log.read_text().count("storing") == 2)
            line.wait(lambda: datetime.now(UTC) > later)
            line.publish(server, topic, (datetime.now(UTC), 240.0))
            line.wait(lambda: line.open_episodes() and len(line.told()) == 2)
            process.terminate()
            assert process.wait(HANG_S) == 0
    assert len(set(line.told())) == 2


@pytest.mark.parametrize("kind", ["amqp", "mqtt"])
def test_two_processes_share_the_work_and_one_takes_over_from_the_other(kind, line):
    with broker_of(line, kind) as (server, topic):
        line.add_source(name="line", kind=kind, url={"env": "BROKER_URL"}, topic=topic)
        with line.service(1) as first, line.service(2) as second:
            noted = line.stores.database["stream_processes"]
            line.wait(lambda: noted.count_documents({"waiting": False}) == 2)
            line.wait(lambda: line.is_read(server, topic))
            sent = send(server, topic, line.began, 0)
            line.wait(lambda: line.stored().keys() >= sent.keys())
            line.wait(lambda: len(line.told()) == len(ASSETS))
            sent |= send(server, topic, line.began, ROWS)
            first.kill()
            first.wait(HANG_S)
            line.wait(lambda: line.stored().keys() >= sent.keys())
            assert {key: v for key, v in line.stored().items() if key[1] > line.began} == sent
            # Rows that the killed one stored and did not evaluate are taken up by a round of the
            # scheduler, within ten minutes.
            evaluate(line.platform, None, datetime.now(UTC) + timedelta(minutes=11))
            line.wait(lambda: len(line.platform.episodes.find()) == len(ASSETS) * 2)
            noticed = line.stores.database["notifications"].find({"transition": "raised"})
            episodes = {episode.id for episode in line.platform.episodes.find()}
            assert {notice["episode"] for notice in noticed} == episodes
            told = line.told()  # once: the other one delivers meanwhile
            assert len(set(told)) == len(told)
            second.terminate()
            assert second.wait(HANG_S) == 0


def send(server, topic, began, first):
    """Publish rows of every asset, of which the later half is too hot; return them by asset and
    stamp."""
    sent = {}
    for asset in ASSETS:
        payloads = []
        for i in range(first, first + ROWS):
            ts = began + timedelta(milliseconds=100 * (i + 1))
            ts -= timedelta(microseconds=ts.microsecond % 1000)
            sent[asset, ts] = value = 230.0 if i >= first + ROWS // 2 else 200.0
            row = {"ts": ts.isoformat(), "values": {"temperature": value}}
            payloads.append(json.dumps(row).encode())
        server.publish(topic.replace("{asset}", asset), payloads)
    return sent


def insert(line, number, value):
    """Insert a temperature of now into the database of the oven."""
    with sqlite3.connect(line.folder / "oven.db") as database:
        ts = datetime.now(UTC) + timedelta(milliseconds=number)
        row = (number, ts.isoformat(timespec="milliseconds"), value)
        database.execute("INSERT INTO results VALUES (?, ?, ?)", row)


def test_rows_of_a_database_are_evaluated_at_once_and_read_by_the_scheduler_without_the_service(
    line,
):
    with sqlite3.connect(line.folder / "oven.db") as database:
        database.execute("CREATE TABLE results (id integer, ts text, temperature real)")
    line.environ["OVEN_DB_URL"] = f"sqlite:///{line.folder / 'oven.db'}"
    evaluate(line.platform, None, line.began)
    where = {"url": {"env": "OVEN_DB_URL"}, "table": "results", "cursor": "id", "asset": "oven-1"}
    line.add_source(name="oven", kind="sql", every="5s", **where)
    insert(line, 1, 200.0)
    with line.service() as running:
        line.wait(lambda: len(line.stored()) == 1)
        line.wait(lambda: read_by_service(line.stores.database) == {"oven"})
        insert(line, 2, 230.0)
        began = time.monotonic()
        line.wait(line.open_episodes)
        took = time.monotonic() - began
        assert took < 40, "before a round of the scheduler, also on a busy machine"
        assert line.platform.deliveries.progress("oven").polled_by == "service"
        insert(line, 3, 231.0)
        running.kill()
        running.wait(HANG_S)
    insert(line, 4, 233.0)
    readers = source_readers(Settings(home=line.folder), line.environ)

    def read_as_scheduler():
        """As the task of Airflow does; a reading of the killed one may have been under way."""
        clock = HandClock(datetime.now(UTC))
        return poll_claimed(line.platform, readers, "oven", "scheduler", clock)

    assert line.wait(read_as_scheduler).refused == 0
    progress = line.platform.deliveries.progress("oven")
    assert (len(line.stored()), progress.rows, progress.polled_by) == (4, 4, "scheduler")
    line.wait(lambda: read_by_service(line.stores.database) == set())
    with line.service(2):
        insert(line, 5, 234.0)
        line.wait(lambda: len(line.stored()) == 5)
    assert len(line.open_episodes()) == 1
