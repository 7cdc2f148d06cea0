"""A process of the stream service: what it stores, holds, leaves and gives up, whatever breaks."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from pymongo.errors import AutoReconnect

from alerting.adapters.sources import brokers
from alerting.definitions.faults import UserError
from alerting.ports import WantedHistory
from alerting.stores.database.transactions_and_leases import STREAM
from alerting.stream import service
from alerting.stream.service import (
    LONGEST_BEHIND,
    LOOK_S,
    TURN_S,
    UNDER_WAY,
    LeaseLost,
    StreamService,
    claim_stream,
)
from alerting.usecases.sources import stream
from alerting.usecases.sources.status import SOURCES
from tests.builders import at
from tests.helpers.streamed_messages import (
    NOON,
    ROW,
    SOURCE,
    Batches,
    Refusing,
    dead,
    message,
)
from tests.in_memory_platform import HandClock, memory_platform

ENVIRON = {"BROKER_URL": "mqtt://user:secret@broker", "SERVER_URL": "opc.tcp://server"}
OPC_UA = {
    "name": "line", "kind": "opcua", "url": {"env": "SERVER_URL"},
    "nodes": {"i=1": {"variable": "t", "asset": "oven-1"}},
}  # fmt: skip


class Servers:
    """The servers of all sources, and the time of the service, which passes by hand.

    `batches`: what the next connection of each source delivers. `opened`: all connections.
    """

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.waits = []
        self.batches = {}
        self.opened = []
        time = SimpleNamespace(monotonic=lambda: self.now, sleep=self.waits.append)
        monkeypatch.setattr(service, "time", time)
        monkeypatch.setattr(brokers, "open_stream", self._open)

    def _open(self, kind, source, address, now, earlier):
        self.opened.append(Batches(self.batches.get(source.name, ())))
        return self.opened[-1]

    def look(self, one):
        """Let a service take a turn in which it looks at the documents."""
        self.now += LOOK_S
        one.turn()


@pytest.fixture
def servers(monkeypatch):
    return Servers(monkeypatch)


def reader(servers, platform, batches, document=SOURCE):
    """Return a service that reads a source of these batches."""
    SOURCES.apply(platform, [document], "ada", at(0))
    servers.batches["line"] = batches
    return StreamService(platform, ENVIRON)


def values(*numbers):
    rows = [
        {"asset": "oven-1", "ts": (NOON + timedelta(seconds=n)).isoformat(), "values": {"t": n}}
        for n in numbers
    ]
    return [message({**row, "quality": {"t": "good"}}) for row in rows]


def stored(platform):
    """Return the stored values of the first asset."""
    found = platform.assets.get("oven-1")
    return (
        []
        if found is None
        else platform.readings.load(WantedHistory(found, None, None)).readings["t"].tolist()
    )


def progress(platform):
    return platform.deliveries.progress("line")


def away(platform):
    return Refusing(platform.reading_writes, "oven-1", AutoReconnect("away"))


def test_a_source_with_too_many_dead_messages_is_paused_and_nothing_is_acknowledged(
    servers, monkeypatch
):
    monkeypatch.setattr(stream, "MOST_DEAD", 3)
    platform = memory_platform()
    done = []
    batches = [[message(b"%d" % i, done=done) for i in range(2 * n, 2 * n + 2)] for n in (0, 1)]
    one = reader(servers, platform, batches)
    one.turn()
    assert (len(done), SOURCES.get(platform, "line").state) == (2, "active")
    one.turn()
    assert (len(done), len(dead(platform)), SOURCES.get(platform, "line").state) == (2, 2, "paused")
    assert "send them again and resume it on its page" in progress(platform).fault
    assert servers.opened[0].is_closed
    SOURCES.change_state(platform, "line", "resume", "ada", at(1))
    servers.look(one)
    assert len(servers.opened) == 2


def test_a_source_whose_dead_messages_are_too_large_together_is_paused(servers, monkeypatch):
    monkeypatch.setattr(stream, "MOST_DEAD_BYTES", 3 << 20)
    platform = memory_platform()
    one = reader(servers, platform, [[message(b"%d" % n + b"x" * (1 << 20))] for n in range(3)])
    for _ in range(3):
        one.turn()
    assert (len(dead(platform)), SOURCES.get(platform, "line").state) == (2, "paused")
    assert "3 MiB of its messages could not be stored" in progress(platform).fault


def test_a_database_that_is_away_when_clock_is_read_closes_subscriptions_and_does_not_end_service(
    servers, caplog
):
    clock = Mock(**{"now.return_value": NOON})
    one = reader(servers, replace(memory_platform(), clock=clock), [])
    one.turn()
    clock.now.side_effect = AutoReconnect("away")
    one.turn()
    assert servers.opened[0].is_closed
    assert "the database does not answer; brokers keep their messages: away" in caplog.text
    clock.now.side_effect = None
    one.turn()  # it looks at once
    assert len(servers.opened) == 2


def test_turn_waits_for_more_messages_unless_batch_was_full_evaluation_waits_for_those_are_left(
    servers, monkeypatch
):
    monkeypatch.setattr(brokers, "BATCH", 2)
    platform = replace(memory_platform(), clock=HandClock(NOON + timedelta(seconds=1)))
    full = [message(ROW), replace(message(ROW), received_at=NOON + timedelta(milliseconds=200))]
    long_ago = [replace(message(ROW), received_at=NOON - timedelta(hours=1))] * 2
    SOURCES.apply(platform, [{**SOURCE, "name": "silent"}], "ada", at(0))
    one = reader(servers, platform, [full, long_ago, full[:1]])
    stored_until = []
    for _ in range(3):
        one.turn()
        stored_until.append(one.stored_until)
    now = NOON + timedelta(seconds=1)
    assert stored_until == [full[1].received_at, now - LONGEST_BEHIND, now - UNDER_WAY]
    assert servers.waits == [TURN_S]


def test_a_source_that_cannot_be_opened_does_not_stop_the_others_and_shows_no_secret(
    servers, monkeypatch, tmp_path
):
    def open_stream(kind, source, address, now, earlier):
        if source.name == "broken":
            raise ValueError(address)
        return Batches([[message(ROW)]])

    monkeypatch.setattr(brokers, "open_stream", open_stream)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    binary.chmod(0o600)
    platform = memory_platform()
    files = {"name": "binary", "url": {"file": str(binary)}}
    SOURCES.apply(
        platform,
        [{**SOURCE, **changes} for changes in ({"name": "broken"}, files, {})],
        "ada",
        at(0),
    )
    StreamService(platform, {**ENVIRON, "ALERTING_SECRET_FOLDERS": str(tmp_path)}).turn()
    assert (
        platform.deliveries.progress("broken").fault
        == "source broken: cannot be opened: ValueError"
    )
    assert "is no text in UTF-8" in platform.deliveries.progress("binary").fault
    assert progress(platform).rows == 1


def test_a_broken_connection_is_shown_until_it_works_again(servers):
    platform = memory_platform()
    one = reader(servers, platform, [UserError("the broker is away"), []])
    one.turn()
    assert (progress(platform).fault, progress(platform).read_until) == ("the broker is away", None)
    one.turn()
    assert (progress(platform).fault, progress(platform).read_until is None) == (None, False)


def test_values_that_a_server_sends_once_outlive_an_outage_and_are_stored_before_it_is_given_up(
    servers,
):
    platform = memory_platform()
    writes = away(platform)
    broken = replace(platform, reading_writes=writes)
    one = reader(servers, broken, [values(1, 2), values(3)], OPC_UA)
    one.turn()
    assert (stored(platform), servers.opened[0].is_closed) == ([], False)
    SOURCES.apply(platform, [{**OPC_UA, "state": "paused"}], "ada", at(1))
    servers.look(one)
    assert (servers.opened[0].is_closed, stored(platform)) == (True, [])
    writes.mend()
    one.turn()
    assert stored(platform) == [1, 2, 3]
    SOURCES.apply(platform, [OPC_UA], "ada", at(2))
    servers.look(one)
    assert len(servers.opened) == 2


def test_a_service_that_ends_while_the_database_is_away_says_how_many_values_are_lost(
    servers, caplog
):
    platform = memory_platform()
    broken = replace(platform, reading_writes=away(platform))
    one = reader(servers, broken, [[], values(1, 2), values(3)], OPC_UA)
    one.turn()
    one.close()
    assert servers.opened[0].is_closed
    assert "source line: its last 3 values are lost: away" in caplog.text


def test_the_time_in_which_no_process_read_a_server_that_sends_once_is_stated(servers):
    clock = HandClock(at(9))
    platform = replace(memory_platform(), clock=clock)
    one = reader(servers, platform, [], OPC_UA)
    platform.deliveries.note_read("line", at(4))
    one.turn()
    found = progress(platform)
    assert (found.lost, found.lost_at, found.read_until) == (0, at(9), at(9))
    clock.instant = at(10)
    servers.look(one)
    assert (progress(platform).lost_at, progress(platform).read_until) == (at(9), at(10))
    assert found.last_lost.startswith(
        "no process read the source from 2026-01-05 00:04 UTC to 2026-01-05 00:09 UTC: "
    )


def test_a_process_that_another_one_has_replaced_ends_and_a_killed_one_is_not_waited_for(servers):
    platform = memory_platform()
    one = reader(servers, platform, [], OPC_UA)
    one.turn()
    platform.leases.release(STREAM, platform.leases.find(STREAM).holder)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for number in (ended.pid, os.getpid()):  # its own, in a container
        assert platform.leases.claim(STREAM, f"{os.uname().nodename}-{number}-00")
        assert claim_stream(platform.leases, "new-1-00")
        platform.leases.release(STREAM, "new-1-00")
    assert platform.leases.claim(STREAM, "elsewhere-1-00")
    assert not claim_stream(platform.leases, "new-1-00")
    with pytest.raises(LeaseLost):
        servers.look(one)
    one.close()
    assert platform.leases.find(STREAM).holder == "elsewhere-1-00"
