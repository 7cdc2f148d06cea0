"""Topics of Kafka, read in a consumer group, committed by hand. Not tested at a server."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition

from alerting.adapters.sources.addresses import CONNECT_S, Address, Encrypted, read_address
from alerting.adapters.sources.threaded import LARGEST_MESSAGE, WAIT_S, Received, ThreadedStream
from alerting.definitions.sources.streamed import KafkaSource
from alerting.usecases.sources.stream import subscription

_TRIED = 10
PORTS = {"kafka": 9092, "kafkas": 9093}


def open_kafka(
    source: KafkaSource, address: str, now: Callable[[], datetime], _: Sequence[str] = ()
) -> ThreadedStream:
    """Return the subscription of a source. Raises UserError for no address."""
    server = read_address(source, address, PORTS)
    return ThreadedStream(
        source.name, lambda: KafkaClient(source, KafkaConsumer(**_options(source, server))), now
    )


def look(source: KafkaSource, address: str, seconds: float) -> tuple[list[Received], list[str]]:
    """Return the newest messages of the topics, without a group."""
    options = {**_options(source, read_address(source, address, PORTS)), "group_id": None}
    return read_newest_messages(source, KafkaConsumer(**options), seconds)


def read_newest_messages(
    source: KafkaSource, consumer: Any, seconds: float
) -> tuple[list[Received], list[str]]:
    """Return the newest messages of the topics for a consumer without a group, and close it."""
    try:
        topics = sorted(filter(source.form.pattern(source.topic).fullmatch, consumer.topics()))
        partitions = [
            TopicPartition(topic, number)
            for topic in topics
            for number in consumer.partitions_for_topic(topic) or ()
        ]
        consumer.assign(partitions)
        first = consumer.beginning_offsets(partitions)
        ends = consumer.end_offsets(partitions)
        for partition in partitions:
            consumer.seek(partition, max(first[partition], ends[partition] - _TRIED))
        found: list[Received] = []
        until = time.monotonic() + seconds
        while (
            len(found) < _TRIED
            and time.monotonic() < until
            and any(first[one] < ends[one] for one in partitions)
        ):
            for records in consumer.poll(timeout_ms=int(WAIT_S * 1000)).values():
                found += [
                    Received(record.topic, record.value or b"", None, _stamp(record))
                    for record in records
                ]
            if all(consumer.position(one) >= ends[one] for one in partitions):
                break
    finally:
        consumer.close(autocommit=False)
    return found[-_TRIED:], [] if found else [f"no topic {source.topic} holds a message"]


def _stamp(record: Any) -> datetime | None:
    return (
        datetime.fromtimestamp(record.timestamp / 1000, UTC)
        if record.timestamp and record.timestamp > 0
        else None
    )


class KafkaClient(ConsumerRebalanceListener):  # type: ignore[misc]  # of a library without types
    """Port `BrokerClient`: commits offsets up to the first message that is not acknowledged."""

    sends_again = True

    def __init__(self, source: KafkaSource, consumer: Any) -> None:
        """Subscribe the topics of the source; a new group begins with all that they hold."""
        self._consumer = consumer
        self._sent: dict[Any, deque[int]] = {}
        self._done: dict[Any, set[int]] = {}
        if source.form.one in subscription(source).split(source.form.separator):
            consumer.subscribe(
                pattern=f"^(?:{source.form.pattern(source.topic).pattern})$", listener=self
            )
        else:
            consumer.subscribe(topics=[source.topic], listener=self)

    def receive(self, most: int) -> Sequence[Received]:
        if most:
            self._consumer.resume(*self._consumer.paused())
        else:  # the poll then brings nothing, and keeps the membership of the group
            self._consumer.pause(*self._consumer.assignment())
        found = []
        for partition, records in self._consumer.poll(
            timeout_ms=int(WAIT_S * 1000), max_records=max(most, 1)
        ).items():
            for record in records:
                self._sent.setdefault(partition, deque()).append(record.offset)
                found.append(
                    Received(
                        record.topic,
                        record.value or b"",
                        (partition, record.offset),
                        _stamp(record),
                    )
                )
        return found

    def acknowledge(self, tokens: Sequence[Any]) -> None:
        for partition, offset in tokens:
            if partition in self._sent:
                self._done.setdefault(partition, set()).add(offset)
        if next_offsets := {
            partition: offset
            for partition in self._done
            if (offset := self._next(partition)) is not None
        }:
            self._consumer.commit(
                {
                    partition: OffsetAndMetadata(offset, "", -1)
                    for partition, offset in next_offsets.items()
                }
            )

    def _next(self, partition: Any) -> int | None:
        """Return the offset after messages that are all acknowledged; None if the first is not."""
        sent = self._sent.get(partition, deque())
        done = self._done[partition]
        offset = None
        while sent and sent[0] in done:
            offset = sent.popleft()
            done.discard(offset)
        return None if offset is None else offset + 1

    def on_partitions_revoked(self, revoked: Sequence[Any]) -> None:
        """Forget the messages of partitions that go to another member, which gets them again."""
        for partition in revoked:
            self._sent.pop(partition, None)
            self._done.pop(partition, None)

    def on_partitions_assigned(self, assigned: Sequence[Any]) -> None:
        """Do nothing: reading begins after the committed offset."""

    def close(self) -> None:
        self._consumer.close(autocommit=False)


def _options(source: KafkaSource, server: Address) -> Mapping[str, Any]:
    return {
        **connection_options(source, source.mechanism, server),
        "group_id": f"alerting-{source.name}",
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "allow_auto_create_topics": False,
        "max_partition_fetch_bytes": LARGEST_MESSAGE,
        "fetch_max_bytes": 16 * LARGEST_MESSAGE,
    }


def connection_options(source: Encrypted, mechanism: str, server: Address) -> Mapping[str, Any]:
    """Return how to connect a source or a sink."""
    sasl = {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": server.user,
        "sasl_plain_password": server.password,
    }
    protocol = ("SASL_" if server.user else "") + ("SSL" if server.tls else "PLAINTEXT")
    return {
        "bootstrap_servers": [f"{server.host}:{server.port}"],
        "client_id": f"alerting-{source.name}",
        "bootstrap_timeout_ms": CONNECT_S * 1000,
        "security_protocol": protocol,
        "ssl_context": server.tls,
        **(sasl if server.user else {}),
    }
