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
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate_shard, plan_round
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.sources.documents import apply_sources, set_state
from tests.builders import oven, too_hot
from tests.helpers.mosquitto import Broker
from tests.in_memory_platform import HandClock, platform_on

mqtt = pytest.importorskip("paho.mqtt.client", reason="pip install paho-mqtt")
pytestmark = pytest.mark.slow
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
            process.wait(20)


def wait(happened, log, seconds=60):
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
        client.publish("line-3/oven-1/readings", json.dumps(row), qos=1).wait_for_publish(20)
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def broker(tmp_path):
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()


def test_message_is_episode_and_notification_at_once_and_scheduler_takes_over_from_killed_service(
    real_server, tmp_path, broker
):
    alive = tmp_path / "alive"
    sent = tmp_path / "home" / "logs" / "notifications.log"
    log = tmp_path / "stream.log"
    environ = {
        **os.environ,
        "BROKER_URL": broker.address,
        "ALERTING_MONGODB_URI": real_server,
        "ALERTING_DATABASE": DATABASE,
    }
    environ |= {"ALERTING_HOME": str(tmp_path / "home"), "PYTHONPATH": os.pathsep.join(sys.path)}
    with open_stores(real_server, DATABASE, prepare=True) as stores:
        now = datetime.now(UTC)
        platform = platform_on(stores, (), HandClock(now))
        platform.assets.put([oven()])
        apply(platform, [too_hot()], "engineer", now - MINUTE, "test")
        apply_sources(platform, [{**SOURCE, "state": "paused"}], "ada", now)

        def episodes(is_open):
            return [e for e in platform.episodes.find() if (e.closed_at is None) is is_open]

        def recorded():
            return [
                n.key for n in platform.notifications.sent_since(now - MINUTE) if ":raised" in n.key
            ]

        with service(environ, alive) as process:
            wait(alive.exists, log)
            assert psutil.Process(process.pid).memory_info().rss < 100e6  # it waits for a source
            set_state(platform, "line", "active", "ada", now)
            wait(
                lambda: (
                    platform.sources.progress("line").fault is not None
                    or "storing" in log.read_text()
                ),
                log,
            )
            wait(lambda: _subscribed(broker, platform), log)
            publish(broker, 230)
            wait(
                lambda: (
                    episodes(True)
                    and len(recorded()) == 1
                    and sent.read_text().count(":raised:") == 1
                ),
                log,
                20,
            )

        # the service is dead: the scheduler's task goes on
        later = datetime.now(UTC) + timedelta(seconds=2)
        add_readings(platform, [ReadingRow("oven-1", later, {"temperature": 200.0})], later)
        round_plan = plan_round(platform, MINUTE, 1, later)
        closed = evaluate_shard(
            platform, MINUTE, 0, 1, later, round_plan.source_hash, round_plan.late.has_requests
        )
        assert (closed.closed, len(episodes(False)), episodes(True)) == (1, 1, [])
        # it goes on where the scheduler has stopped, and stops in order
        with service(environ, alive) as process:
            wait(lambda: log.read_text().count("storing") == 2, log)
            wait(lambda: datetime.now(UTC) > later, log)
            publish(broker, 240)
            wait(
                lambda: (
                    episodes(True)
                    and len(recorded()) == 2
                    and sent.read_text().count(":raised:") == 2
                ),
                log,
                20,
            )
            process.terminate()
            assert process.wait(30) == 0
        assert len(set(recorded())) == 2
        stores.database.client.drop_database(DATABASE)


def _subscribed(broker, platform):
    """Publish a cool reading until one is stored: then the service listens."""
    publish(broker, 200)
    return platform.sources.progress("line").rows > 0
