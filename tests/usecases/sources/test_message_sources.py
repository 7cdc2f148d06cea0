"""Every kind of source that reads messages, against its real broker: nothing lost, nothing doubled,
whatever breaks."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from threading import Event, Thread
from unittest.mock import DEFAULT, Mock

import pytest
from pymongo.errors import AutoReconnect

from alerting.ports import WantedHistory
from alerting.stream.service import StreamService
from alerting.usecases.sources.status import SOURCES
from tests.builders import at
from tests.helpers.brokers import SERVERS
from tests.helpers.proxy import Proxy
from tests.helpers.receivers import wait_until
from tests.in_memory_platform import memory_platform

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
KINDS = ("mqtt", "amqp")


@pytest.fixture(scope="session", params=KINDS)
def server(request, tmp_path_factory):
    made = SERVERS[request.param](tmp_path_factory.mktemp(request.param))
    made.kind = request.param
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def proxy(server):
    made = Proxy(server.port)
    made.join()
    yield made
    made.cut()


class Line:
    """A source of a line of its own at a server, and the service that reads it."""

    def __init__(self, server, proxy, name, is_waiting=True, **changes):
        self.server = server
        self.proxy = proxy
        self.name = name
        self.platform = memory_platform()
        given = {
            "name": name,
            "kind": server.kind,
            "url": {"env": "BROKER_URL"},
            **changes,
        }
        self.document = {field: value for field, value in given.items() if value is not None}
        self.document.setdefault("topic", self.topic("{asset}", "readings"))
        SOURCES.apply(self.platform, [self.document], "ada", at(0))
        self.service = None
        self.start(is_waiting=is_waiting)

    def topic(self, *levels):
        return self.server.separator.join(["line-3", self.name, *levels])

    def start(self, platform=None, is_waiting=True):
        """Start the service, and wait for its subscription."""
        environ = {"BROKER_URL": self.server.address(self.proxy.port)}
        self.service = StreamService(platform or self.platform, environ)
        self.turns(
            lambda: (
                not is_waiting
                or (self.streams and all(stream._fault is None for stream in self.streams))
            )
        )

    @property
    def streams(self):
        return [found.stream for found in self.service._connections.values()]

    def send(self, numbers, asset="oven-1"):
        rows = [
            {"ts": (NOON + timedelta(seconds=i)).isoformat(), "values": {"t": i}} for i in numbers
        ]
        self.server.publish(
            self.topic(asset, "readings"), [json.dumps(row).encode() for row in rows]
        )

    def turns(self, until):
        """Let the service work until a condition holds."""
        wait_until(lambda: self.service.turn() or until())

    @property
    def progress(self):
        return self.platform.deliveries.progress(self.name)

    def stored(self, asset="oven-1"):
        found = self.platform.assets.get(asset)
        if found is None:
            return {}
        frame = self.platform.readings.load(WantedHistory(found, None, None)).readings
        return {
            int((ts - NOON).total_seconds()): row.dropna().to_dict() for ts, row in frame.iterrows()
        }


@pytest.fixture
def line(server, proxy, request):
    made = Line(server, proxy, request.node.originalname.replace("_", "-")[-40:])
    yield made
    made.service.close()


def test_rows_are_stored_once_in_any_order_and_poison_is_put_aside(line):
    line.send([3, 1, 2, 0, 1, 3])
    line.server.publish(
        line.topic("oven-1", "readings"), [b"poison", b"\xff", b"x" * (1 << 20) + b"y"]
    )
    line.send([4], "oven-2")
    dead = line.platform.dead_messages.dead
    line.turns(
        lambda: (
            line.stored("oven-2")
            and len(dead(line.name, 10)) == (2 if line.server.kind == "mqtt" else 3)
        )
    )
    assert line.stored() == {i: {"t": float(i)} for i in range(4)}
    assert line.progress.rows == 5
    assert all(len(letter.payload) <= 1 << 20 for letter in dead(line.name, 10))


def test_a_restart_in_the_middle_and_a_database_that_is_away_lose_nothing(line):
    line.send(range(20))
    line.turns(line.stored)
    line.service.close()
    line.send(range(15, 40))
    fails_once = {"insert.side_effect": chain([AutoReconnect("away")], repeat(DEFAULT))}
    failing = Mock(wraps=line.platform.reading_writes, **fails_once)
    line.start(replace(line.platform, reading_writes=failing))
    line.turns(lambda: len(line.stored()) == 40)
    assert (failing.insert.call_count > 1, line.progress.rows) == (True, 40)


def test_a_broken_connection_is_said_and_what_came_meanwhile_is_stored_once(line):
    line.send(range(10))
    line.turns(lambda: len(line.stored()) == 10)
    line.proxy.cut()
    line.turns(lambda: line.progress.fault is not None)
    assert f"source {line.name}: " in line.progress.fault
    line.proxy.join()
    line.turns(lambda: line.progress.fault is None)
    line.proxy.cut()
    line.send(range(5, 20))
    line.proxy.join()
    line.turns(lambda: len(line.stored()) == 20)
    assert (line.progress.rows, line.progress.fault) == (20, None)


def test_a_trial_shows_rows_as_they_would_be_stored_and_takes_none_from_the_service(line):
    from alerting.adapters.sources.brokers import look_at
    from alerting.usecases.sources.stream import try_messages

    source = SOURCES.get(line.platform, line.name)
    line.turns(lambda: line.progress.fault is None)
    looked = Event()

    def send():
        while not looked.wait(0.05):
            line.send(range(5))
            line.server.publish(line.topic("oven-1", "readings"), [b"poison"])

    sending = Thread(target=send, daemon=True)
    sending.start()
    address = line.server.address(line.server.port)
    trial = try_messages(line.platform, source, look_at(line.server.kind, source, address, 5.0))
    looked.set()
    sending.join()
    shown = {(row["asset"], row["t"]) for row in trial.rows}
    assert shown <= {("oven-1", float(i)) for i in range(5)}
    assert {row.reason for row in trial.refused} == {"is neither a row nor a list of rows"}
    assert (bool(shown), line.stored()) == (True, {})
    line.turns(lambda: len(line.stored()) == 5 and line.platform.dead_messages.dead(line.name, 10))
