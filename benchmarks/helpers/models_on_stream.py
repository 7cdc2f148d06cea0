"""Thresholds and models that the stream service evaluates while lines send a reading a second each.

Each line has thresholds; some have a
classifier, with a stride of five seconds, of several different champions. The air of each of these
gets humid once, which raises a prediction: its time counts from the instant of the score. In the
middle a champion is replaced.

Alone: python -m benchmarks.helpers.models_on_stream [SECONDS [LINES THRESHOLDS MODELS
CHAMPIONS]].
"""

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import NamedTuple

import numpy as np
import paho.mqtt.client as mqtt

from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.ports import DecisionRecord, Message, Platform, WantedHistory
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.stream.service import StreamService, interpreter_for_messages
from alerting.stream.threads import Evaluator
from alerting.usecases.sources.status import SOURCES
from alerting.wiring import assemble
from benchmarks.helpers import modelled_lines
from benchmarks.helpers.mosquitto import Mosquitto

SECONDS = 180
USUAL_S = 15  # in which lines send nothing but usual values, and services read their models
GOAL_THRESHOLDS_S = 1.0
GOAL_MODELS_S = 2.0
GOAL_REPLACED_S = 5.0
RAISES_S = 5
_AFTER_S = 8
_LOOK_S = 0.25
_SUBSCRIBED_WITHIN_S = 60.0
_STOPPED_WITHIN_S = 30.0
_REPLACED_WITHIN_S = 20.0
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


class Place(NamedTuple):
    """Where the processes of a measurement work together: the address of the database, that of the
    broker, and a folder with `registry`, into which each writes what it did."""

    mongodb_uri: str
    broker: str
    folder: str

    def platform(self, channel: Taken | None = None) -> Platform:
        """Return a platform with the registry of the folder, if it is there."""
        settings = Settings(home=Path(self.folder), mongodb_uri=self.mongodb_uri)
        stores = MongoStores(connect(self.mongodb_uri)["bench"])
        opened = assemble(settings, stores, channels=False)
        channels = {"log": channel} if channel else {}
        opened = replace(opened, channels=channels, latency=timedelta(0))
        if not (file := Path(self.folder) / "registry").exists():
            return opened
        registry = pickle.loads(file.read_bytes())  # noqa: S301 - written by this measurement
        return replace(opened, runs=registry, models=registry)


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
        place = Place(server.uri, broker.address, str(folder))
        opened = place.platform()
        prepare_database(MongoStores(connect(server.uri)["bench"]).database)
        now = datetime.now(UTC).replace(microsecond=0)
        platform = modelled_lines.prepare(opened, *size, now)
        one = modelled_lines.model(0)
        other = modelled_lines.model(1)
        replacement = modelled_lines.register_copy(platform, other, one, now)
        (folder / "registry").write_bytes(pickle.dumps(platform.models))
        SOURCES.apply(platform, [SOURCE], "benchmark", datetime.now(UTC))
        began = datetime.now(UTC)
        with _service(platform, place), _sender(broker.port, seconds, size):
            start = time.monotonic()
            time.sleep(2 + USUAL_S + seconds / 2)
            after = _replace(platform, replacement)
            time.sleep(max(0.0, start + USUAL_S + seconds + _AFTER_S - time.monotonic()))
        done = [json.loads(file.read_text()) for file in folder.glob("*.done")]
        assert len(done) == 1, "the service has not ended well"
        at = [(key, when) for one in done for key, when in one["notified"]]
        return _figures(platform, at, began, seconds, size) | {
            "first_score_of_new_champion_s": after,
            "cpu_share": round(
                sum(one["cpu_s"] for one in done) / (USUAL_S + seconds + _AFTER_S), 2
            ),
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


@contextmanager
def _service(platform: Platform, place: Place) -> Iterator[None]:
    """Run the service in a process of its own, from when the broker's messages are read."""
    process = subprocess.Popen([sys.executable, "-m", __spec__.name, "serve", *place])
    try:
        until = time.monotonic() + _SUBSCRIBED_WITHIN_S
        while not platform.deliveries.progress(str(SOURCE["name"])).read_until:
            assert time.monotonic() < until, "the service has not subscribed"
            time.sleep(_LOOK_S)
        yield
        process.terminate()
        process.wait(_STOPPED_WITHIN_S)
    finally:
        process.kill()
        process.wait()


def serve(place: Place) -> None:
    """Run one service until it is terminated; write when notifications were sent, and the CPU it
    took (s) after it had begun."""
    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    channel = Taken()
    platform = place.platform(channel)
    evaluator = Evaluator(platform)
    service = StreamService(platform, {"BROKER_URL": place.broker}, evaluator.add)
    evaluator.start()
    took = time.process_time()
    with interpreter_for_messages():
        while not stopped.is_set():
            service.turn()
            evaluator.stored_until = service.stored_until
    took = time.process_time() - took
    service.close()
    evaluator.close()
    done = {"notified": channel.at, "cpu_s": took}
    (Path(place.folder) / f"{os.getpid()}.done").write_text(json.dumps(done))


def _replace(platform: Platform, replacement: DecisionRecord) -> float | None:
    """Promote a champion under load; return the seconds until its first score is stored, None if
    none is in time."""
    at = datetime.now(UTC)
    modelled_lines.promote(platform, replace(replacement, at=at))
    until = time.monotonic() + _REPLACED_WITHIN_S
    while time.monotonic() < until:
        time.sleep(_LOOK_S)
        now = datetime.now(UTC)
        scores = platform.scores.for_interval(replacement.definition, at, now)
        if any(score["model_version"] == replacement.challenger_version for score in scores):
            return round((now - at).total_seconds(), 2)
    return None


def _figures(
    platform: Platform,
    notified: Sequence[tuple[str, float]],
    began: datetime,
    seconds: int,
    size: Size,
) -> dict[str, object]:
    until = datetime.now(UTC)
    stored = sum(
        len(platform.readings.load(WantedHistory(asset, began, until, ["speed"])).readings)
        for asset in platform.assets.all()
    )
    raised = {one.id: one for one in platform.episodes.find()}
    times: dict[bool, list[float]] = {True: [], False: []}
    for key, at in notified:
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
    return found | {"lost_readings": size.lines * (USUAL_S + seconds) - stored}


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
    once. From `USUAL_S` on some are too fast, and each line with a classifier is humid for some
    seconds once."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="line", protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    random = np.random.default_rng(0)
    piece = size.lines // 100
    time.sleep(2)
    began = time.monotonic()
    for step in range(-USUAL_S * 100, seconds * 100):
        time.sleep(max(0.0, began + USUAL_S + step / 100 - time.monotonic()))
        values = modelled_lines.usual(random, piece)
        for i in range(piece):
            number = step * piece + i
            asset = number % size.lines
            row = {name: float(column[i]) for name, column in values.items()}
            humid_from = 3 + asset / size.models * (seconds - 12)
            if asset < size.models and humid_from <= step / 100 < humid_from + 9:
                row["humidity"] += modelled_lines.HUMID
            if step >= 0 and number % (size.lines // RAISES_S + 1) == 0:
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
    if arguments[:1] == ["serve"]:
        serve(Place(*arguments[1:]))
        return
    seconds, *size = [int(one) for one in arguments] or [SECONDS]
    figures = measure(seconds, Size(*size))
    met = {"met": is_met(figures), "load_average": round(os.getloadavg()[0], 1)}
    print(json.dumps(figures | met))


if __name__ == "__main__":
    main(sys.argv[1:])
