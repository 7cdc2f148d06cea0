"""Messages of a broker that cannot be stored are put aside, each with its reason, and do not stop
the others."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.errors import AutoReconnect, BulkWriteError, WriteError

from alerting.adapters.memory.platform import memory_platform
from alerting.adapters.mongo.mongo import is_outage
from alerting.adapters.sources.threaded import MOST_UNACKNOWLEDGED
from alerting.cli.ingest import stream_service
from alerting.cli.ingest.stream_service import (
    LONGEST_BEHIND,
    TURN_S,
    UNDER_WAY,
    StreamService,
    Subscription,
)
from alerting.definitions.faults import UserError
from alerting.definitions.sources.source import parse_source
from alerting.ports import ArchiveAway
from alerting.readings.instants import to_millis
from alerting.usecases.sources import stream
from alerting.usecases.sources.documents import apply_sources
from alerting.usecases.sources.stream import Message, earlier_subscriptions, store_messages
from tests.builders import at
from tests.in_memory_platform import HandClock

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
ROW = {"ts": NOON.isoformat(), "values": {"t": 1}}
SOURCE = {
    "name": "line",
    "kind": "mqtt",
    "url": {"env": "BROKER_URL"},
    "topic": "line-3/{asset}/readings",
}


def message(row, topic="line-3/oven-1/readings", done=None):
    payload = row if isinstance(row, bytes) else json.dumps(row).encode()
    return Message(topic, payload, NOON, lambda: done.append(topic) if done is not None else None)


def dead(platform):
    """Return the reasons of the dead messages."""
    return [letter.reason for letter in platform.sources.dead("line", 100)]


class Refusing:
    """Writes that fail for the rows of one asset."""

    def __init__(self, writes, asset, fault):
        self._writes = writes
        self._asset = asset
        self._fault = fault

    def __getattr__(self, name):
        def call(rows, *others):
            if any(
                getattr(row, "asset", row[0] if isinstance(row, tuple) else None) == self._asset
                for row in rows
            ):
                raise self._fault
            return getattr(self._writes, name)(rows, *others)

        return call


@pytest.mark.parametrize(
    "fault",
    [ValueError("no document"), WriteError("refused", 121), BulkWriteError({"writeErrors": []})],
)
def test_a_message_that_makes_its_batch_fail_is_put_aside_and_the_others_are_stored(fault):
    platform = memory_platform()
    done = []
    broken = replace(platform, reading_writes=Refusing(platform.reading_writes, "oven-2", fault))
    batch = [message(ROW, f"line-3/oven-{i}/readings", done) for i in (1, 2, 3)]
    count = store_messages(broken, parse_source(SOURCE), batch, at(0), is_outage)
    assert (count.messages, count.new, count.dead, len(done)) == (3, 2, 1, 3)
    assert dead(platform)[0].startswith(f"cannot be stored: {type(fault).__name__}: ")


def test_an_outage_acknowledges_nothing():
    platform = memory_platform()
    done = []
    broken = replace(
        platform, reading_writes=Refusing(platform.reading_writes, "oven-2", AutoReconnect("away"))
    )
    with pytest.raises(AutoReconnect):
        store_messages(
            broken,
            parse_source(SOURCE),
            [message(ROW, f"line-3/oven-{i}/readings", done) for i in (1, 2)],
            at(0),
            is_outage,
        )
    assert (done, dead(platform)) == ([], [])


@pytest.mark.parametrize(
    ("row", "topic", "reason"),
    [
        (ROW, "line-3/o\n/readings", "asset: 'o\\n' is not a name of an asset"),
        (
            {**ROW, "values": {"t": "\ud800"}},
            "line-3/o/readings",
            "t: '\\ud800' holds half a character",
        ),
        (
            {**ROW, "values": {"\ud800": 1}},
            "line-3/o/readings",
            "'\\ud800': the title holds half a character",
        ),
        (
            {**ROW, "quality": {"\ud800": "bad"}},
            "line-3/o/readings",
            "'\\ud800': the title holds half a character",
        ),
    ],
)
def test_a_name_or_text_that_the_database_cannot_store_is_refused_with_a_reason(row, topic, reason):
    platform = memory_platform()
    source = parse_source({**SOURCE, "quality": "quality"})
    assert store_messages(platform, source, [message(row, topic)], at(0)).dead == 1
    assert dead(platform)[0].startswith(reason)
    assert platform.assets.all() == []


def test_the_type_of_an_event_is_a_whole_name():
    platform = memory_platform()
    source = parse_source({**SOURCE, "delivers": "events"})
    assert (
        store_messages(
            platform, source, [message({"ts": NOON.isoformat(), "type": "stop\n"})], at(0)
        ).dead
        == 1
    )
    assert platform.assets.event_types() == []


@pytest.mark.parametrize(
    ("written", "topic", "fits"),
    [
        ("a/{asset}/r", "a/oven-1/r", True),
        ("a/{asset}/r", "b/oven-1/r", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "ab", False),
        ("#", "a/b", True),
        ("a/+", "a/b/c", False),
        ("$share/group/a/+", "a/b", True),
    ],
)
def test_a_message_of_another_topic_is_put_aside(written, topic, fits):
    platform = memory_platform()
    source = parse_source(
        {**SOURCE, "topic": written, **({} if "{asset}" in written else {"asset": "oven-1"})}
    )
    assert store_messages(platform, source, [message(ROW, topic)], at(0)).new == fits
    assert dead(platform) == ([] if fits else [f"topic {topic!r} is not that of the source"])


def test_the_topics_of_earlier_revisions_are_given_back():
    platform = memory_platform()
    for topic in ("a/{asset}", "b/#", "c/+", "a/+"):
        apply_sources(platform, [{**SOURCE, "topic": topic}], "ada", at(0))
    assert earlier_subscriptions(
        platform.sources, parse_source({**SOURCE, "topic": "a/{asset}"})
    ) == ["b/#", "c/+"]


def test_a_dead_message_is_kept_whole_and_one_that_stays_dead_does_not_block_later_ones(
    monkeypatch,
):
    monkeypatch.setattr(stream, "_PAGE", 2)
    platform = memory_platform()
    apply_sources(platform, [SOURCE], "ada", at(0))
    late = {"at": NOON.isoformat(), "values": {f"note_{i}": "x" * 1000 for i in range(70)}}
    batch = [message(b"{%d" % i) for i in range(5)] + [
        replace(message(late), received_at=at(1)),
        message(b"\xff"),
    ]
    store_messages(platform, parse_source(SOURCE), batch, at(0))
    assert {letter.payload for letter in platform.sources.dead("line", 10)} == {
        found.payload for found in batch
    }
    assert len(batch[5].payload) > 65536
    apply_sources(platform, [{**SOURCE, "time": "at"}], "ada", at(2))
    assert stream.retry_dead(platform, "line", at(3)) == stream.StreamCount(7, 1, 6)
    assert len(platform.sources.dead("line", 10)) == 6


def test_a_source_with_too_many_dead_messages_is_paused_and_nothing_is_acknowledged(monkeypatch):
    monkeypatch.setattr(stream, "MOST_DEAD", 3)
    monkeypatch.setattr("time.sleep", lambda _: None)
    platform = memory_platform()
    done = []
    apply_sources(platform, [SOURCE], "ada", at(0))
    service = StreamService(platform, {})
    service._read_at = float("inf")
    batches = [[message(b"%d" % i, done=done) for i in range(2 * n, 2 * n + 2)] for n in (0, 1)]
    service._streams["line"] = Subscription(parse_source(SOURCE), Batches(batches))
    service.turn()
    assert (len(done), platform.sources.get("line").state) == (2, "active")
    service.turn()
    assert (len(done), len(dead(platform)), platform.sources.get("line").state) == (2, 2, "paused")
    assert "alerting source retry line" in platform.sources.progress("line").fault


def test_a_source_whose_dead_messages_are_too_large_together_is_paused(monkeypatch):
    monkeypatch.setattr(stream, "MOST_DEAD_BYTES", 3 << 20)
    monkeypatch.setattr("time.sleep", lambda _: None)
    platform = memory_platform()
    done = []
    apply_sources(platform, [SOURCE], "ada", at(0))
    service = StreamService(platform, {})
    service._read_at = float("inf")
    batches = [[message(b"%d" % n + b"x" * (1 << 20), done=done)] for n in range(3)]
    service._streams["line"] = Subscription(parse_source(SOURCE), Batches(batches))
    for _ in range(3):
        service.turn()
    assert (len(done), len(dead(platform)), platform.sources.get("line").state) == (2, 2, "paused")
    assert "3 MiB of its messages could not be stored" in platform.sources.progress("line").fault


def test_a_source_that_is_gone_when_it_should_be_paused_does_not_end_the_service(monkeypatch):
    monkeypatch.setattr(stream, "MOST_DEAD", 0)
    monkeypatch.setattr("time.sleep", lambda _: None)
    service = StreamService(memory_platform(), {})
    service._read_at = float("inf")
    service._streams["line"] = Subscription(parse_source(SOURCE), Batches([[message(b"%d" % 1)]]))
    service.turn()
    assert service._streams == {}


def test_a_database_that_is_away_when_clock_is_read_closes_subscriptions_and_does_not_end_service(
    monkeypatch,
):
    class Away:
        def now(self):
            raise AutoReconnect("away")

    monkeypatch.setattr("time.sleep", lambda _: None)
    service = StreamService(replace(memory_platform(), clock=Away()), {})
    service._read_at = float("inf")
    service._streams["line"] = Subscription(parse_source(SOURCE), Batches([[message(ROW)]]))
    service.turn()
    assert service._streams == {}


def test_turn_waits_for_more_messages_unless_batch_was_full_evaluation_waits_for_those_are_left(
    monkeypatch,
):
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    monkeypatch.setattr("alerting.adapters.sources.threaded.BATCH", 2)
    platform = memory_platform()
    platform = replace(platform, clock=HandClock(NOON + timedelta(seconds=1)))
    service = StreamService(platform, {})
    service._read_at = float("inf")
    full = [message(ROW), replace(message(ROW), received_at=NOON + timedelta(milliseconds=200))]
    long_ago = [replace(message(ROW), received_at=NOON - timedelta(hours=1))] * 2
    for name, batches in (("busy", [full, long_ago, full[:1]]), ("silent", [])):
        service._streams[name] = Subscription(
            parse_source({**SOURCE, "name": name}), Batches(batches)
        )
    stored_until = []
    for _ in range(3):
        service.turn()
        stored_until.append(service.stored_until)
    now = NOON + timedelta(seconds=1)
    assert stored_until == [full[1].received_at, now - LONGEST_BEHIND, now - UNDER_WAY]
    assert waits.count(TURN_S) == 1  # threads of other tests may wait, too


def test_a_source_that_cannot_be_opened_does_not_stop_the_others_and_shows_no_secret(
    monkeypatch, tmp_path
):
    def open_stream(kind, source, address, now, earlier):
        if source.name == "broken":
            raise ValueError(address)
        return Batches([[message(ROW)]])

    monkeypatch.setattr("alerting.adapters.sources.brokers.open_stream", open_stream)
    monkeypatch.setattr("time.sleep", lambda _: None)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    binary.chmod(0o600)
    platform = memory_platform()
    files = {"name": "binary", "url": {"file": str(binary)}}
    apply_sources(
        platform,
        [{**SOURCE, **changes} for changes in ({"name": "broken"}, files, {})],
        "ada",
        at(0),
    )
    environ = {"BROKER_URL": "mqtt://user:secret@broker", "ALERTING_SECRET_FOLDERS": str(tmp_path)}
    StreamService(platform, environ).turn()
    assert (
        platform.sources.progress("broken").fault == "source broken: cannot be opened: ValueError"
    )
    assert "is no text in UTF-8" in platform.sources.progress("binary").fault
    assert platform.sources.progress("line").rows == 1


@pytest.mark.parametrize("file", ["both", "one"])
def test_messages_of_archived_months_wait_unacknowledged_while_the_archive_is_away(
    monkeypatch, file
):
    monkeypatch.setattr("time.sleep", lambda _: None)
    platform = memory_platform()
    done = []
    apply_sources(platform, [SOURCE], "ada", at(0))
    away = Refusing(
        platform.reading_writes,
        "oven-2",
        ArchiveAway("the archive is away", {("oven-2", to_millis(NOON))}),
    )
    service = StreamService(replace(platform, reading_writes=away), {})
    service._read_at = float("inf")
    batch = [
        message(ROW, f"line-3/oven-{i}/readings", done)
        for i in ((1, 2, 3) if file == "both" else (2,))
    ]
    found = service._streams["line"] = Subscription(parse_source(SOURCE), Batches([batch]))
    service.turn()
    service.turn()
    assert [message.topic for message in found.waiting] == ["line-3/oven-2/readings"]
    assert "line-3/oven-2/readings" not in done
    assert len(done) == len(batch) - 1
    assert dead(platform) == []
    fault = (
        "source line: messages with readings of archived months wait, not acknowledged: the "
        "archive is away"
    )
    assert platform.sources.progress("line").fault == fault
    # the archive is back
    service._platform = platform
    found.retry_at = 0.0
    service.turn()
    assert (len(done), found.waiting, platform.sources.progress("line").fault) == (
        len(batch),
        [],
        None,
    )
    assert [asset.name for asset in platform.assets.all()] == sorted(
        message.topic.split("/")[1] for message in batch
    )


def test_beside_a_message_that_cannot_be_stored_one_of_an_archived_month_still_waits():
    platform = memory_platform()
    done = []
    away = Refusing(
        platform.reading_writes,
        "oven-2",
        ArchiveAway("the archive is away", {("oven-2", to_millis(NOON))}),
    )
    both = Refusing(away, "oven-1", ValueError("no document"))
    batch = [message(ROW, f"line-3/oven-{i}/readings", done) for i in (1, 2, 3)]
    count = store_messages(
        replace(platform, reading_writes=both), parse_source(SOURCE), batch, at(0), is_outage
    )
    assert (count.new, count.dead, count.postponed, count.why) == (
        1,
        1,
        [batch[1]],
        "the archive is away",
    )
    assert done == [batch[0].topic, batch[2].topic]


def test_no_more_messages_are_taken_while_too_many_wait():
    found = Subscription(parse_source(SOURCE), Batches([[message(ROW)]]))
    found.postpone([message(ROW)] * MOST_UNACKNOWLEDGED, 60.0)
    assert found.batch() == ()
    found.waiting.pop()
    assert len(found.batch()) == 1


def test_a_retry_of_dead_messages_ends_while_the_archive_is_away():
    platform = memory_platform()
    apply_sources(platform, [{**SOURCE, "time": "at"}], "ada", at(0))
    store_messages(platform, parse_source({**SOURCE, "time": "at"}), [message(ROW)], at(0))
    apply_sources(platform, [SOURCE], "ada", at(1))
    away = Refusing(
        platform.reading_writes,
        "oven-1",
        ArchiveAway("the archive is away", {("oven-1", to_millis(NOON))}),
    )
    with pytest.raises(UserError, match="the archive is away"):
        stream.retry_dead(replace(platform, reading_writes=away), "line", at(2), is_outage)
    assert len(dead(platform)) == 1


OPC_UA = {
    "name": "line", "kind": "opcua", "url": {"env": "SERVER_URL"},
    "nodes": {"i=1": {"variable": "t", "asset": "oven-1"}},
}  # fmt: skip


def values(*numbers):
    rows = [
        {"asset": "oven-1", "ts": (NOON + timedelta(seconds=n)).isoformat(), "values": {"t": n}}
        for n in numbers
    ]
    return [message({**row, "quality": {"t": "good"}}) for row in rows]


def stored(platform):
    """Return the stored values of the first asset."""
    found = platform.assets.get("oven-1")
    return [] if found is None else platform.readings.load(found, None, None).readings["t"].tolist()


def opc_ua_service(platform, batches):
    apply_sources(platform, [OPC_UA], "ada", at(0))
    service = StreamService(platform, {})
    service._read_at = float("inf")
    service._streams["line"] = Subscription(parse_source(OPC_UA), Batches(batches))
    return service


def test_values_that_a_server_sends_once_outlive_an_outage_of_the_database(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    platform = memory_platform()
    service = opc_ua_service(platform, [values(1, 2), values(3)])
    service._platform = replace(
        platform, reading_writes=Refusing(platform.reading_writes, "oven-1", AutoReconnect("away"))
    )
    service.turn()
    assert stored(platform) == []
    service._platform = platform
    service._read_at = float("inf")
    service.turn()
    service.turn()
    assert stored(platform) == [1, 2, 3]


def test_values_that_a_server_sends_once_are_stored_before_its_source_is_given_up(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    platform = memory_platform()
    service = opc_ua_service(platform, [values(1, 2), values(3)])
    stream = service._streams["line"].stream
    apply_sources(platform, [{**OPC_UA, "state": "paused"}], "ada", at(1))
    service._read_at = -60.0
    service.turn()
    assert (stream.is_closed, stored(platform), service._streams) == (True, [1, 2, 3], {})


def test_a_source_that_another_process_takes_over_is_read_until_that_one_has_opened_it(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    platform = memory_platform()
    service = opc_ua_service(platform, [values(1), values(2), values(3)])
    monkeypatch.setattr(stream_service, "share_of", lambda *_: set())
    service._read_at = -60.0
    service.turn()
    assert stored(platform) == [1]
    now[0] += stream_service.HAND_OVER_S / 2
    service.turn()
    assert list(service._streams) == ["line"]
    now[0] += stream_service.HAND_OVER_S / 2
    service.turn()
    assert (service._streams, stored(platform)) == ({}, [1, 2, 3])
    assert platform.sources.progress("line").read_until is not None


def test_values_that_a_server_sends_once_are_counted_where_their_source_is_paused(monkeypatch):
    monkeypatch.setattr(stream, "MOST_DEAD", 0)
    monkeypatch.setattr("time.sleep", lambda _: None)
    platform = memory_platform()
    service = opc_ua_service(platform, [[message(b"x")], values(1, 2)])
    service.turn()
    progress = platform.sources.progress("line")
    assert (service._streams, progress.lost, progress.last_lost) == (
        {},
        3,
        "the source was paused while they waited",
    )


def test_a_service_that_ends_while_the_database_is_away_says_how_many_values_are_lost(caplog):
    platform = memory_platform()
    service = opc_ua_service(platform, [values(1, 2), values(3)])
    service._platform = replace(
        platform, reading_writes=Refusing(platform.reading_writes, "oven-1", AutoReconnect("away"))
    )
    service.close()
    assert service._streams == {}
    assert "source line: its last 3 values are lost: away" in caplog.text


def test_the_time_in_which_no_process_read_a_server_that_sends_once_is_stated(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    platform = replace(memory_platform(), clock=HandClock(at(10)))
    service = opc_ua_service(platform, [])
    platform.sources.note_read("line", at(4))
    service._streams["line"].opened_at = at(9)
    service._note_reading(at(9))
    assert platform.sources.progress("line").read_until == at(
        4
    )  # the earlier reader may still note
    service._note_reading(at(10))
    progress = platform.sources.progress("line")
    assert (progress.lost, progress.lost_at, progress.read_until) == (0, at(10), at(10))
    assert progress.last_lost.startswith(
        f"no process read the source from {at(4).isoformat()} to {at(9).isoformat()}: "
    )


class Batches:
    """A subscription with these batches."""

    def __init__(self, batches):
        self._batches = batches

    def batch(self):
        return self._batches.pop(0) if self._batches else []

    def losses(self):
        return []

    def close(self):
        self.is_closed = True
