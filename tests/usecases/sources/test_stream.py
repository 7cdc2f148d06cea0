"""Messages of a broker that cannot be stored are put aside, each with its reason, and do not stop
the others."""

from dataclasses import replace

import pytest
from pymongo.errors import AutoReconnect, BulkWriteError, WriteError

from alerting.adapters.mongo.mongo import is_outage
from alerting.definitions.sources import parse_source
from alerting.usecases.sources import stream
from alerting.usecases.sources.status import SOURCES
from alerting.usecases.sources.stream import earlier_subscriptions, store_messages
from tests.builders import at
from tests.helpers.streamed_messages import NOON, ROW, SOURCE, Refusing, dead, message
from tests.in_memory_platform import memory_platform


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


HALVES = [
    ({}, "line-3/o\n/readings", "asset: 'o\\n' is not a name of an asset"),
    ({"values": {"t": "\ud800"}}, "line-3/o/readings", "t: '\\ud800' holds half a character"),
    (
        {"values": {"\ud800": 1}},
        "line-3/o/readings",
        "'\\ud800': the title holds half a character",
    ),
    (
        {"quality": {"\ud800": "bad"}},
        "line-3/o/readings",
        "'\\ud800': the title holds half a character",
    ),
]


def test_a_name_or_text_that_the_database_cannot_store_is_refused_with_a_reason():
    platform = memory_platform()
    source = parse_source({**SOURCE, "quality": "quality"})
    batch = [message(ROW | changes, topic) for changes, topic, _ in HALVES]
    assert store_messages(platform, source, batch, at(0)).dead == len(HALVES)
    told = "\n".join(dead(platform))
    assert [said for _, _, said in HALVES if said not in told] == []
    events = parse_source({**SOURCE, "delivers": "events"})
    stop = message({"ts": NOON.isoformat(), "type": "stop\n"})
    assert store_messages(platform, events, [stop], at(0)).dead == 1
    # the value beside a quality of no variable is sound
    assert [(asset.name, [*asset.variables]) for asset in platform.assets.all()] == [("o", ["t"])]
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
        SOURCES.apply(platform, [{**SOURCE, "topic": topic}], "ada", at(0))
    assert earlier_subscriptions(
        platform.sources, parse_source({**SOURCE, "topic": "a/{asset}"})
    ) == ["b/#", "c/+"]


def test_a_dead_message_is_kept_whole_and_one_that_stays_dead_does_not_block_later_ones(
    monkeypatch,
):
    monkeypatch.setattr(stream, "_PAGE", 2)
    platform = memory_platform()
    SOURCES.apply(platform, [SOURCE], "ada", at(0))
    late = {"at": NOON.isoformat(), "values": {f"note_{i}": "x" * 1000 for i in range(70)}}
    batch = [message(b"{%d" % i) for i in range(5)] + [
        replace(message(late), received_at=at(1)),
        message(b"\xff"),
    ]
    store_messages(platform, parse_source(SOURCE), batch, at(0))
    assert {letter.payload for letter in platform.dead_messages.dead("line", 10)} == {
        found.payload for found in batch
    }
    assert len(batch[5].payload) > 65536
    SOURCES.apply(platform, [{**SOURCE, "time": "at"}], "ada", at(2))
    assert stream.retry_dead(platform, "line", "ada", at(3)) == stream.StreamCount(7, 1, 6)
    assert len(platform.dead_messages.dead("line", 10)) == 6
