"""The client of Kafka with a consumer that behaves as the library's: it is not tested against a
server."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

kafka = pytest.importorskip("kafka", reason="pip install kafka-python")
from alerting.adapters.sources.addresses import read_address  # noqa: E402
from alerting.adapters.sources.kafka_topics import KafkaClient, _options, read_newest_messages  # noqa: E402
from alerting.definitions.sources.source import parse_source  # noqa: E402

SOURCE = parse_source(
    {"name": "line", "kind": "kafka", "url": {"env": "B"}, "topic": "line-3.{asset}"}
)
ONE = kafka.TopicPartition("line-3.a", 0)
TWO = kafka.TopicPartition("line-3.b", 0)


class Consumer:
    """Messages by partition, and what was committed."""

    def __init__(self):
        self.waiting = {}
        self.committed = {}
        self.stopped = set()
        self.subscribed = None

    def subscribe(self, **given):
        self.subscribed = given

    def assignment(self):
        return {ONE, TWO}

    def paused(self):
        return self.stopped

    def pause(self, *partitions):
        self.stopped |= set(partitions)

    def resume(self, *partitions):
        self.stopped = self.stopped - set(partitions)

    def poll(self, timeout_ms, max_records):
        found = {
            partition: records[:max_records]
            for partition, records in self.waiting.items()
            if partition not in self.stopped
        }
        self.waiting = {
            partition: records
            for partition, records in self.waiting.items()
            if partition not in found
        }
        return found

    def commit(self, offsets):
        self.committed |= {partition: offset.offset for partition, offset in offsets.items()}


def record(partition, offset):
    return SimpleNamespace(
        topic=partition.topic, value=b"%d" % offset, offset=offset, timestamp=1_767_614_400_000
    )


@pytest.fixture
def consumer():
    return Consumer()


def test_an_offset_is_committed_only_after_all_messages_before_it(consumer):
    client = KafkaClient(SOURCE, consumer)
    consumer.waiting = {ONE: [record(ONE, i) for i in (5, 6, 9)], TWO: [record(TWO, 1)]}
    found = client.receive(100)
    assert [(one.topic, one.payload) for one in found] == [
        ("line-3.a", b"5"),
        ("line-3.a", b"6"),
        ("line-3.a", b"9"),
        ("line-3.b", b"1"),
    ]
    assert found[0].at == datetime(2026, 1, 5, 12, tzinfo=UTC)
    client.acknowledge([(ONE, 6), (ONE, 9)])
    assert consumer.committed == {}
    client.acknowledge([(ONE, 5), (TWO, 1)])
    assert consumer.committed == {ONE: 10, TWO: 2}


def test_nothing_is_read_while_the_service_is_full_and_a_lost_partition_commits_nothing(consumer):
    client = KafkaClient(SOURCE, consumer)
    consumer.waiting = {ONE: [record(ONE, 5)]}
    assert client.receive(0) == []
    assert [one.payload for one in client.receive(10)] == [b"5"]
    client.on_partitions_revoked([ONE])
    client.acknowledge([(ONE, 5)])
    assert consumer.committed == {}


def test_topics_of_several_levels_are_subscribed_by_a_pattern(consumer):
    import re

    KafkaClient(SOURCE, consumer)
    matches = re.compile(consumer.subscribed["pattern"]).match
    assert matches("line-3.oven-1")
    assert not matches("line-3.oven-1.x")
    assert not matches("line-30oven")
    KafkaClient(
        parse_source({"name": "line", "kind": "kafka", "url": {"env": "B"}, "topic": "line-3"}),
        consumer,
    )
    assert consumer.subscribed["topics"] == ["line-3"]


def test_the_options_are_those_of_the_library():
    source = parse_source(
        {
            "name": "l",
            "kind": "kafka",
            "url": {"env": "B"},
            "topic": "t",
            "mechanism": "SCRAM-SHA-512",
        }
    )
    address = read_address(source, "kafkas://me:pass@host:9093", {"kafka": 9092, "kafkas": 9093})
    options = _options(source, address)
    assert options.keys() <= kafka.KafkaConsumer.DEFAULT_CONFIG.keys()
    assert (options["security_protocol"], options["sasl_mechanism"]) == (
        "SASL_SSL",
        "SCRAM-SHA-512",
    )
    assert (options["enable_auto_commit"], options["auto_offset_reset"]) == (False, "earliest")


class Topics(Consumer):
    """Two topics of the source with one partition each, and one of another line, as a consumer
    without a group sees them."""

    def __init__(self, ends):
        super().__init__()
        self._ends = ends
        self._at = {}
        self.closed = False

    def topics(self):
        return {"line-3.a", "line-3.b", "line-4.a"}

    def partitions_for_topic(self, _):
        return {0}

    def assign(self, partitions):
        assert partitions == [ONE, TWO]

    def beginning_offsets(self, partitions):
        return dict.fromkeys(partitions, 0)

    def end_offsets(self, _):
        return self._ends

    def seek(self, partition, offset):
        self._at[partition] = offset

    def position(self, partition):
        return self._at[partition]

    def poll(self, timeout_ms):
        found = {
            p: [record(p, i) for i in range(self._at[p], end)]
            for p, end in self._ends.items()
            if self._at[p] < end
        }
        self._at = dict(self._ends)
        return found

    def close(self, autocommit):
        self.closed = not autocommit


def test_a_trial_copies_the_newest_messages_without_a_group():
    consumer = Topics({ONE: 25, TWO: 0})
    found, notes = read_newest_messages(SOURCE, consumer, 1.0)
    assert [one.payload for one in found] == [b"%d" % i for i in range(15, 25)]
    assert (notes, consumer.closed, consumer.committed) == ([], True, {})
    assert read_newest_messages(SOURCE, Topics({ONE: 0, TWO: 0}), 1.0) == (
        [],
        ["no topic line-3.{asset} holds a message"],
    )
