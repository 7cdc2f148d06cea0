"""`alerting stream` against a real broker and a real database: a message becomes an episode and a
notification at once."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from alerting.adapters.mongo.mongo import open_stores
from alerting.local.secrets import load_or_create
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate_shard, plan_round
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.sources.documents import apply_sources, set_state
from tests.builders import oven, too_hot
from tests.helpers.mosquitto import Broker
from tests.in_memory_platform import HandClock, platform_on

mqtt = pytest.importorskip("paho.mqtt.client", reason="pip install paho-mqtt")
pytestmark = pytest.mark.server
DATABASE = "stream-evaluates"
SOURCE = {
    "name": "line",
    "kind": "mqtt",
    "url": {"env": "BROKER_URL"},
    "topic": "line-3/{asset}/readings",
    "latency": "0s",
}
MINUTE = timedelta(minutes=1)


@contextmanager
def service(environ, alive):
    """The service as `alerting up` starts it; it is killed at the end."""
    command = [sys.executable, "-m", "alerting.cli.main", "stream", "--alive", str(alive)]
    with (alive.parent / "stream.log").open("ab") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(600)


def environ_of(server, folder, **others):
    """The environment of a service on the database of the tests."""
    return {
        **os.environ,
        "ALERTING_MONGODB_URI": server,
        "ALERTING_DATABASE": DATABASE,
        "ALERTING_HOME": str(folder / "home"),
        "ALERTING_NOTIFICATION_LOG": str(folder / "home" / "logs" / "notifications.log"),
        "ALERTING_LATENCY": "0s",
        "PYTHONPATH": os.pathsep.join(sys.path),
        **others,
    }


def wait(happened, log, seconds=600):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, (
            log.read_text() if log.exists() else "the service has written nothing"
        )
        time.sleep(0.05)


def publish(broker, *values):
    """Publish readings of now."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="line", protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for value in values:
        row = {"ts": datetime.now(UTC).isoformat(), "values": {"temperature": value}}
        client.publish("line-3/oven-1/readings", json.dumps(row), qos=1).wait_for_publish(600)
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def broker(tmp_path):
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()


class Line:
    """A line with one oven and one definition, and what came of its readings."""

    def __init__(self, stores, folder):
        self.began = datetime.now(UTC)
        self.platform = platform_on(stores, (), HandClock(self.began))
        self.log = folder / "stream.log"
        self._sent = folder / "home" / "logs" / "notifications.log"
        self.platform.assets.store_assets([oven()])
        apply(self.platform, [too_hot()], "engineer", self.began - MINUTE, "test")
        apply_sources(self.platform, [{**SOURCE, "state": "paused"}], "ada", self.began)

    def episodes(self, is_open):
        return [e for e in self.platform.episodes.find() if (e.closed_at is None) is is_open]

    def recorded(self):
        sent = self.platform.notifications.sent_since(self.began - MINUTE)
        return [n.key for n in sent if ":raised" in n.key]

    def is_notified(self, times):
        """Return whether an episode is open, and so many raises were recorded and sent."""
        return (
            self.episodes(True)
            and len(self.recorded()) == times
            and self._sent.read_text().count(":raised:") == times
        )

    def round(self, when):
        """Evaluate a cool reading as the task of the scheduler does."""
        add_readings(self.platform, [ReadingRow("oven-1", when, {"temperature": 200.0})], when)
        plan = plan_round(self.platform, MINUTE, 1, when)
        has_requests = plan.late.has_requests
        return evaluate_shard(self.platform, MINUTE, 0, 1, when, plan.source_hash, has_requests)


@pytest.fixture
def line(real_server, tmp_path):
    with open_stores(real_server, DATABASE, prepare=True) as stores:
        yield Line(stores, tmp_path)
        stores.database.client.drop_database(DATABASE)


def test_message_is_episode_and_notification_at_once_and_scheduler_takes_over_from_killed_service(
    real_server, tmp_path, broker, line
):
    load_or_create(tmp_path / "home" / "secrets")
    alive = tmp_path / "alive"
    environ = environ_of(real_server, tmp_path, BROKER_URL=broker.address)
    with service(environ, alive) as process:
        wait(alive.exists, line.log)
        assert psutil.Process(process.pid).memory_info().rss < 100e6  # it waits for a source
        set_state(line.platform, "line", "active", "ada", line.began)
        wait(
            lambda: (
                line.platform.deliveries.progress("line").fault is not None
                or "storing" in line.log.read_text()
            ),
            line.log,
        )
        wait(lambda: _subscribed(broker, line.platform), line.log)
        publish(broker, 230)
        wait(lambda: line.is_notified(1), line.log)

    later = datetime.now(UTC) + timedelta(seconds=2)
    closed = line.round(later)  # the service is dead: the scheduler's task goes on
    assert (closed.closed, len(line.episodes(False)), line.episodes(True)) == (1, 1, [])
    with service(environ, alive) as process:
        # it goes on where the scheduler has stopped, and stops in order
        wait(lambda: line.log.read_text().count("storing") == 2, line.log)
        wait(lambda: datetime.now(UTC) > later, line.log)
        publish(broker, 240)
        wait(lambda: line.is_notified(2), line.log)
        process.terminate()
        assert process.wait(600) == 0
    assert len(set(line.recorded())) == 2


def _subscribed(broker, platform):
    """Publish a cool reading until one is stored: then the service listens."""
    publish(broker, 200)
    return platform.deliveries.progress("line").rows > 0


def test_rows_of_another_process_are_evaluated_at_once_without_any_source(
    real_server, tmp_path, line
):
    """As the API stores them: the service learns of them by their arrival record."""
    alive = tmp_path / "alive"
    load_or_create(tmp_path / "home" / "secrets")
    line.round(line.began)  # from the first evaluation on each write leaves a record
    with service(environ_of(real_server, tmp_path), alive):
        wait(alive.exists, line.log)

        def send(value):
            now = datetime.now(UTC)
            add_readings(line.platform, [ReadingRow("oven-1", now, {"temperature": value})], now)

        def is_notified():
            send(230.0)  # until the service follows the records
            return line.is_notified(1)

        wait(lambda: send(200.0) or "storing" in line.log.read_text(), line.log)
        wait(is_notified, line.log)
        assert len(line.episodes(True)) == 1
