"""Thresholds and models that the stream service evaluates while lines send a reading a second each.

Each line has thresholds; some have a classifier, with a stride of five seconds, of several
different champions. The air of each of these gets humid once, which raises a prediction: its time
counts from the instant of the score. In the middle a champion is replaced.

Alone: python -m benchmarks.helpers.models_on_stream [SECONDS [LINES THRESHOLDS MODELS CHAMPIONS]]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import paho.mqtt.client as mqtt

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.adapters.platform import Platform
from alerting.ports import Message
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.stream.evaluator import Evaluator
from alerting.stream.run import interpreter_for_messages
from alerting.stream.service import StreamService
from alerting.usecases.sources.documents import apply_sources
from alerting.wiring import assemble
from benchmarks.helpers import modelled_lines
from benchmarks.helpers.mosquitto import Mosquitto

SECONDS = 60
GOAL_THRESHOLDS_S = 1.0
GOAL_MODELS_S = 2.0
GOAL_REPLACED_S = 5.0
RAISES_S = 5
_AFTER_S = 8
_LOOK_S = 0.25
_SUBSCRIBED_WITHIN_S = 60.0
SOURCE = {
    "name": "modelled",
    "kind": "mqtt",
    "url": {"env": "BROKER_URL"},
    "topic": "line/{asset}/readings",
    "latency": "0s",
}


class Size(NamedTuple):
    """How many lines there are, and of what."""

    lines: int = 500
    thresholds: int = 2_000
    models: int = 200
    champions: int = 20


class Taken:
    """A channel that notes when it is called."""

    name = "log"

    def __init__(self) -> None:
        self.at: list[tuple[str, float]] = []

    def deliver(self, message: Message) -> None:
        self.at.append((message.key, time.time()))


def measure(seconds: int = SECONDS, size: Size | None = None) -> dict[str, object]:
    """Return the times to a notification of thresholds and of models, and what became of a champion
    that was replaced meanwhile."""
    size = size or Size()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(EmbeddedMongod(folder / "db", free_port()))
        broker = Mosquitto(folder)
        broker.start()
        stack.callback(broker.stop)
        stores = MongoStores(connect(server.uri)["bench"])
        prepare_database(stores.database)
        channel = Taken()
        opened = assemble(Settings(home=folder, mongodb_uri=server.uri), stores, channels=False)
        platform = modelled_lines.prepare(
            replace(opened, channels={"log": channel}, latency=timedelta(0)),
            *size,
            datetime.now(UTC).replace(microsecond=0),
        )
        apply_sources(platform, [SOURCE], "benchmark", datetime.now(UTC))
        began = datetime.now(UTC)
        replaced, cpu_share = _serve(platform, broker, seconds, size)
        return _figures(platform, channel, began, seconds, size) | {
            "first_score_of_new_champion_s": replaced.seconds,
            "cpu_share": cpu_share,
        }


def is_met(figures: dict[str, object]) -> bool:
    """Return whether all goals are reached."""
    after = figures["first_score_of_new_champion_s"]
    return bool(
        figures["threshold_p99_s"] < GOAL_THRESHOLDS_S  # type: ignore[operator]
        and figures["model_p99_s"] < GOAL_MODELS_S  # type: ignore[operator]
        and figures["lost_readings"] == 0
        and after is not None
        and after < GOAL_REPLACED_S  # type: ignore[operator]
    )


def _serve(
    platform: Platform, broker: Mosquitto, seconds: int, size: Size
) -> tuple["_Replacement", float]:
    """Run the service while the lines send, and some seconds longer; return what became of the
    replaced champion, and the share of a core that the process took."""
    evaluator = Evaluator(platform)
    service = StreamService(platform, {"BROKER_URL": broker.address}, evaluator.add)
    evaluator.start()
    until = time.monotonic() + _SUBSCRIBED_WITHIN_S
    while platform.deliveries.progress(str(SOURCE["name"])).read_until is None:
        assert time.monotonic() < until, "the service has not subscribed"
        service.turn()
    replaced = _Replacement(platform)
    took = time.process_time()
    with interpreter_for_messages(), _sender(broker.port, seconds, size):
        start = time.monotonic()
        while time.monotonic() < start + seconds + _AFTER_S:
            service.turn()
            evaluator.stored_until = service.stored_until
            if time.monotonic() > start + 2 + seconds / 2:
                replaced.look()
    took = time.process_time() - took
    service.close()
    evaluator.close()
    return replaced, round(took / (seconds + _AFTER_S), 2)


def _figures(
    platform: Platform, channel: Taken, began: datetime, seconds: int, size: Size
) -> dict[str, object]:
    until = datetime.now(UTC)
    stored = sum(
        len(platform.readings.load(asset, began, until, ["speed"]).readings)
        for asset in platform.assets.all()
    )
    raised = {one.id: one for one in platform.episodes.find()}
    times: dict[bool, list[float]] = {True: [], False: []}
    for key, at in channel.at:
        if ":raised" in key:
            episode = raised[key.split(":")[0]]
            is_of_model = episode.definition.startswith(modelled_lines.MODEL)
            times[is_of_model].append(at - episode.raised_at.timestamp())
    assert times[True] and times[False], "no notification was sent"
    found: dict[str, object] = {**size._asdict(), "seconds": seconds}
    for name, of_model in (("threshold", False), ("model", True)):
        p50, p99 = np.percentile(times[of_model], [50, 99]).tolist()
        found |= {
            f"{name}_notifications": len(times[of_model]),
            f"{name}_p50_s": round(p50, 3),
            f"{name}_p99_s": round(p99, 3),
        }
    return found | {"lost_readings": size.lines * seconds - stored}


class _Replacement:
    """A champion that replaces that of the first classifier at the first look, and the seconds to
    its first stored score."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._at: datetime | None = None
        self._version = 0
        self._looked_at = 0.0
        self.seconds: float | None = None

    def look(self) -> None:
        """Promote, or look for a score of the new champion."""
        name = modelled_lines.model(0)
        now = datetime.now(UTC)
        if self._at is None:
            self._at = now
            other = modelled_lines.model(1)
            self._version = modelled_lines.promote_copy(self._platform, other, name, now)
        elif self.seconds is None and time.monotonic() - self._looked_at > _LOOK_S:
            self._looked_at = time.monotonic()
            scores = self._platform.scores.for_interval(name, self._at, now)
            if any(score["model_version"] == self._version for score in scores):
                self.seconds = round((now - self._at).total_seconds(), 2)


@contextmanager
def _sender(port: int, seconds: int, size: Size) -> Iterator[None]:
    """Send readings from a process of its own."""
    arguments = [str(one) for one in ("send", port, seconds, *size)]
    process = subprocess.Popen([sys.executable, "-m", __spec__.name, *arguments])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def send(port: int, seconds: int, size: Size) -> None:
    """Send a reading a second of each line, with the stamps of now, a hundredth of a second's at
    once. Some are too fast; each line with a classifier is humid for some seconds once."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="line", protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    random = np.random.default_rng(0)
    piece = size.lines // 100
    time.sleep(2)
    began = time.monotonic()
    for step in range(seconds * 100):
        time.sleep(max(0.0, began + step / 100 - time.monotonic()))
        values = modelled_lines.usual(random, piece)
        for i in range(piece):
            number = step * piece + i
            asset = number % size.lines
            row = {name: float(column[i]) for name, column in values.items()}
            humid_from = 3 + asset / size.models * (seconds - 12)
            if asset < size.models and humid_from <= step / 100 < humid_from + 9:
                row["humidity"] += modelled_lines.HUMID
            if number % (size.lines // RAISES_S + 1) == 0:
                row["speed"] = 230.0
            message = {"ts": datetime.now(UTC).isoformat(), "values": row}
            client.publish(
                f"line/{modelled_lines.line(asset)}/readings", json.dumps(message), qos=1
            )
    time.sleep(1)
    client.disconnect()


def main(arguments: list[str]) -> None:
    """Send, or measure and print the figures."""
    if arguments[:1] == ["send"]:
        port, seconds, *size = map(int, arguments[1:])
        send(port, seconds, Size(*size))
        return
    seconds, *size = [int(one) for one in arguments] or [SECONDS]
    figures = measure(seconds, Size(*size))
    met = {"met": is_met(figures), "load_average": round(os.getloadavg()[0], 1)}
    print(json.dumps(figures | met))


if __name__ == "__main__":
    main(sys.argv[1:])
