"""Messages of an MQTT broker: rate into a journaled database, and time from a reading to its
notification.

The peer is a bare consumer with the same client: it parses the JSON, inserts by `insert_many`, and
acknowledges. Both empty the same queue of a real Mosquitto, in turn. The CPU of a message is that
of the consumer's process, so other load of the machine changes it less than the rate; the database
server's is not in it. The time to a notification is measured through the stream service at 1,000
readings a second, of which a few raise an episode, from the stamp of the reading to the call of the
channel. The last part measures it with models, and with a champion that is replaced meanwhile.

Run: python -m benchmarks.run stream
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.adapters.sources.brokers import BATCH, MOST_UNACKNOWLEDGED
from alerting.definitions.asset_documents import Asset, Variable
from alerting.ports import Platform
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.stores.database.documents import READINGS
from alerting.stream.service import StreamService, interpreter_for_messages
from alerting.stream.threads import Evaluator
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.sources.status import SOURCES
from alerting.wiring import assemble
from benchmarks.helpers import models_on_stream
from benchmarks.helpers.models_on_stream import Taken
from benchmarks.helpers.mosquitto import Mosquitto
from benchmarks.helpers.streams import (
    ASSETS,
    GOAL,
    LEAST_VALUES,
    LONGEST_S,
    MESSAGES,
    START,
    VARIABLES,
    Rows,
    document,
    service_rows,
    time_to_empty,
    wide,
)

ROUNDS = 3
READINGS_S = 1_000
SECONDS = 30
RAISES_S = 5
LINES = 100
GOAL_S = 1.0
TOPIC = "line/{asset}/readings"
SOURCE = {
    "name": "bench",
    "kind": "mqtt",
    "url": {"env": "BROKER_URL"},
    "topic": TOPIC,
    "latency": "0s",
}


def run() -> dict[str, object]:
    """Return messages a second and CPU of both, the best of alternating rounds each, and the time
    to a notification (s)."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(EmbeddedMongod(Path(folder) / "db", free_port()))
        broker = Mosquitto(Path(folder))
        broker.start()
        stack.callback(broker.stop)
        port = broker.port
        stores = (MongoStores(connect(server.uri)[f"bench_{number}"]) for number in range(100))

        def plant() -> Platform:
            opened = next(stores)
            prepare_database(opened.database)
            return assemble(
                Settings(home=Path(folder), mongodb_uri=server.uri), opened, channels=False
            )

        ours = []
        bare = []
        for _ in range(ROUNDS):
            ours.append(_empty(port, wide, lambda: service_rows(plant(), SOURCE, broker.address)))
            bare.append(_empty(port, wide, lambda: _bare(next(stores), port)))
        single = _empty(port, _single, lambda: service_rows(plant(), SOURCE, broker.address))
        seconds = _notified_after(plant(), port)
    with_models = models_on_stream.measure()
    figure = max(rate for rate, _ in ours)
    peer = max(rate for rate, _ in bare)
    assert seconds, "no notification was sent"
    p50, p99 = np.percentile(seconds, [50, 99]).tolist()
    return {
        "benchmark": "stream",
        "figure": round(figure),
        "unit": f"messages/s of {VARIABLES} values",
        "peer": "bare consumer with the same client and insert_many",
        "peer_figure": round(peer),
        "ratio": round(figure / peer, 3),
        "values_per_s": round(figure * VARIABLES),
        "cpu_ms_per_message": round(min(cpu for _, cpu in ours), 3),
        "peer_cpu_ms_per_message": round(min(cpu for _, cpu in bare), 3),
        "single_value_messages_per_s": round(single[0]),
        "notifications": len(seconds),
        "to_notification_p50_s": round(p50, 3),
        "to_notification_p99_s": round(p99, 3),
        "with_models": with_models,
        "goal": GOAL,
        "met": figure / peer >= GOAL
        and figure * VARIABLES > LEAST_VALUES
        and p99 < GOAL_S
        and models_on_stream.is_met(with_models),
    }


def _single(number: int) -> bytes:
    """Return a message of one variable."""
    return json.dumps(
        {
            "ts": (START + timedelta(seconds=number // ASSETS)).isoformat(),
            "values": {"t": number % 50},
        }
    ).encode()


def _empty(port: int, message: Callable[[int], bytes], consumer: Rows) -> tuple[float, float]:
    """Fill the session of the source at the broker, then let a consumer empty it. Return messages a
    second, and CPU each (ms)."""
    _client(port, "alerting-bench", subscribe=True)
    sender = _client(port, "sender")
    sent = [
        sender.publish(TOPIC.replace("{asset}", f"oven-{i % ASSETS}"), message(i), qos=1)
        for i in range(MESSAGES)
    ]
    for one in sent:
        one.wait_for_publish(LONGEST_S)
    sender.disconnect()
    sender.loop_stop()
    return time_to_empty(consumer)


def _client(port: int, id: str, subscribe: bool = False) -> mqtt.Client:
    """Return a connected client; with `subscribe` the broker keeps its messages after it has left,
    and it has left."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=id, protocol=mqtt.MQTTv5)
    client.max_inflight_messages_set(1000)
    session = Properties(PacketTypes.CONNECT)
    session.SessionExpiryInterval = 3600
    subscribed: list[bool] = []
    client.on_subscribe = lambda *_: subscribed.append(True)
    client.connect("127.0.0.1", port, clean_start=not subscribe, properties=session)
    client.loop_start()
    if subscribe:
        client.subscribe(TOPIC.replace("{asset}", "+"), qos=1)
        while not subscribed:
            time.sleep(0.01)
        client.disconnect()
        client.loop_stop()
    return client


def _bare(stores: MongoStores, port: int) -> Generator[int, None, None]:
    """Yield 0 before it connects, then the documents of each batch that it inserts into a
    collection with the same indexes."""
    prepare_database(stores.database)
    readings = stores.database[READINGS]
    waiting: list[mqtt.MQTTMessage] = []
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2,
        client_id="alerting-bench",
        protocol=mqtt.MQTTv5,
        manual_ack=True,
    )
    session = Properties(PacketTypes.CONNECT)
    session.SessionExpiryInterval = 3600
    session.ReceiveMaximum = MOST_UNACKNOWLEDGED
    client.on_message = lambda _, __, message: waiting.append(message)
    yield 0
    client.connect("127.0.0.1", port, clean_start=False, properties=session)
    client.loop_start()
    try:
        while True:
            batch = waiting[:BATCH]
            del waiting[: len(batch)]  # none of those that have come meanwhile
            if not batch:
                time.sleep(0.005)
                yield 0
                continue
            readings.insert_many(
                [document(m.topic.split("/")[1], m.payload) for m in batch], ordered=False
            )
            for message in batch:
                client.ack(message.mid, message.qos)
            yield len(batch)
    finally:
        client.disconnect()
        client.loop_stop()


def _notified_after(platform: Platform, port: int) -> Sequence[float]:
    """Return the time from the stamp of a reading that raises an episode to its notification
    (s)."""
    channel = Taken()
    now = datetime.now(UTC)
    platform = replace(platform, channels={"log": channel})
    platform.assets.store_assets(
        [Asset(name=f"oven-{i}", variables={"t": Variable()}) for i in range(LINES)]
    )
    document = {
        "name": "hot",
        "kind": "threshold",
        "assets": ["oven-*"],
        "variable": "t",
        "above": 200,
        "severity": "critical",
    }
    apply(platform, [document], "benchmark", now, "benchmark")
    SOURCES.apply(platform, [SOURCE], "benchmark", now)
    evaluator = Evaluator(platform)
    service = StreamService(platform, {"BROKER_URL": f"mqtt://127.0.0.1:{port}"}, evaluator.add)
    evaluator.start()
    with interpreter_for_messages(), _line(port):
        until = time.monotonic() + SECONDS + 10
        while time.monotonic() < until:
            service.turn()
            evaluator.stored_until = service.stored_until
    service.close()
    evaluator.close()
    raised = {episode.id: episode.raised_at.timestamp() for episode in platform.episodes.find()}
    return [at - raised[key.split(":")[0]] for key, at in channel.at if ":raised" in key]


@contextmanager
def _line(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Send readings from a process of its own, a hundredth of a second's at once."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.stream", str(port)])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def send(port: int) -> None:
    """Send readings with the stamps of now. A few of them a second raise an episode, which the next
    reading of its asset ends."""
    client = _client(port, "line")
    piece = READINGS_S // 100
    time.sleep(2)
    began = time.monotonic()
    for step in range(SECONDS * 100):
        time.sleep(max(0.0, began + step / 100 - time.monotonic()))
        for i in range(piece):
            number = step * piece + i
            hot = number % (READINGS_S // RAISES_S) == 0
            row = {"ts": datetime.now(UTC).isoformat(), "values": {"t": 230 if hot else 100}}
            asset = number // (READINGS_S // RAISES_S) % LINES if hot else number % LINES
            client.publish(f"line/oven-{asset}/readings", json.dumps(row), qos=1)
    client.disconnect()


if __name__ == "__main__":
    send(int(sys.argv[1]))
