"""Messages of RabbitMQ: rate into a journaled database, as `benchmarks.stream` measures it for
Mosquitto.

The peers parse the JSON, insert by `insert_many`, and acknowledge a batch at once, as the service
does: a bare consumer with the same client (pika), and one with aio-pika where that is installed.
All empty the same durable queue of a real broker, in turn; the ratio is to the faster peer. The
peers parse by Python's own json. The service parses by msgspec, so a third consumer is stated
beside them: pika with the parser of the service.

Run: python -m benchmarks.run rabbitmq
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pika

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.indexes import READINGS
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.adapters.platform import Platform
from alerting.adapters.sources.threaded import BATCH, MOST_UNACKNOWLEDGED
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.usecases.sources.json_rows import parse_json
from alerting.wiring import assemble
from benchmarks.helpers.rabbitmq import Rabbit
from benchmarks.helpers.streams import (
    ASSETS,
    GOAL,
    LEAST_VALUES,
    LONGEST_S,
    MESSAGES,
    VARIABLES,
    document,
    service_rows,
    time_to_empty,
    wide,
)

ROUNDS = 3
EXCHANGE = "amq.topic"
QUEUE = "bench"
SAME_PARSER = "pika, parser of the service"
SOURCE = {
    "name": "bench",
    "kind": "amqp",
    "url": {"env": "BROKER_URL"},
    "topic": "line.{asset}.readings",
    "queue": QUEUE,
}


def run() -> dict[str, object]:
    """Return messages a second and CPU of the service and of both peers, the best of alternating
    rounds each."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(EmbeddedMongod(folder / "db", free_port()))
        broker = Rabbit(folder)
        stack.callback(broker.stop)
        broker.start()
        stores = (MongoStores(connect(server.uri)[f"bench_{number}"]) for number in range(100))
        address = broker.address

        def service() -> Generator[int, None, None]:
            opened = next(stores)
            prepare_database(opened.database)
            platform: Platform = assemble(
                Settings(home=folder, mongodb_uri=server.uri), opened, channels=False
            )
            return service_rows(platform, SOURCE, address)

        consumers = {
            "service": service,
            "pika": lambda: _bare(next(stores), address),
            SAME_PARSER: lambda: _bare(next(stores), address, parse_json),
        }
        if find_spec("aio_pika") is not None:
            consumers["aio-pika"] = lambda: _bare_aio(next(stores), address)
        rates: dict[str, list[tuple[float, float]]] = {name: [] for name in consumers}
        for _ in range(ROUNDS):
            for name, consumer in consumers.items():
                _fill(address)
                rates[name].append(time_to_empty(consumer))
    figures = {name: max(rate for rate, _ in of_name) for name, of_name in rates.items()}
    figure = figures.pop("service")
    same_parser = figures.pop(SAME_PARSER)
    peer = max(figures.values())
    return {
        "benchmark": "rabbitmq",
        "figure": round(figure),
        "unit": f"messages/s of {VARIABLES} values",
        "peer": "bare consumer with insert_many, the faster of " + " and ".join(figures),
        "peer_figure": round(peer),
        "peer_figures": {name: round(rate) for name, rate in figures.items()},
        "ratio": round(figure / peer, 3),
        "same_parser_figure": round(same_parser),
        "same_parser_ratio": round(figure / same_parser, 3),
        "values_per_s": round(figure * VARIABLES),
        "cpu_ms_per_message": {
            name: round(min(cpu for _, cpu in of_name), 3) for name, of_name in rates.items()
        },
        "goal": GOAL,
        "met": figure / peer >= GOAL and figure * VARIABLES > LEAST_VALUES,
    }


def _fill(address: str) -> None:
    """Put MESSAGES into an empty durable queue."""
    with pika.BlockingConnection(pika.URLParameters(address)) as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=True)
        channel.queue_bind(QUEUE, EXCHANGE, "line.#")
        persistent = pika.BasicProperties(delivery_mode=2)
        for number in range(MESSAGES):
            channel.basic_publish(
                EXCHANGE, f"line.oven-{number % ASSETS}.readings", wide(number), persistent
            )
        until = time.monotonic() + LONGEST_S
        while (there := channel.queue_declare(QUEUE, passive=True).method.message_count) < MESSAGES:
            assert time.monotonic() < until, f"the queue has {there} of {MESSAGES} messages"
            time.sleep(0.1)
        assert there == MESSAGES, f"the queue has {there} messages instead of {MESSAGES}"


def _bare(
    stores: MongoStores, address: str, parse: Callable[[bytes], Any] = json.loads
) -> Generator[int, None, None]:
    """Yield 0 before it connects, then the documents of each batch that it inserts into a
    collection with the same indexes."""
    prepare_database(stores.database)
    readings = stores.database[READINGS]
    waiting = list[tuple[str, int, bytes]]()
    yield 0
    with pika.BlockingConnection(pika.URLParameters(address)) as connection:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=MOST_UNACKNOWLEDGED)
        channel.basic_consume(
            QUEUE,
            lambda _, method, __, body: waiting.append(
                (method.routing_key, method.delivery_tag, body)
            ),
        )
        while True:
            connection.process_data_events(0 if waiting else 0.005)
            batch = waiting[:BATCH]
            del waiting[: len(batch)]
            if batch:
                readings.insert_many(
                    [document(key.split(".")[1], body, parse) for key, _, body in batch],
                    ordered=False,
                )
                channel.basic_ack(batch[-1][1], multiple=True)
            yield len(batch)


def _bare_aio(stores: MongoStores, address: str) -> Generator[int, None, None]:
    """Yield as `_bare`, with a consumer of aio-pika: its loop runs in turns, and a thread
    inserts."""
    prepare_database(stores.database)
    readings = stores.database[READINGS]
    loop = asyncio.new_event_loop()
    aio_pika = import_module("aio_pika")
    waiting: list[Any] = []

    async def take(message: Any) -> None:
        waiting.append(message)

    async def open_connection() -> Any:
        connection = await aio_pika.connect(address)
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=MOST_UNACKNOWLEDGED)
        await (await channel.get_queue(QUEUE)).consume(take)
        return connection

    async def store() -> int:
        batch = waiting[:BATCH]
        del waiting[: len(batch)]
        if not batch:
            await asyncio.sleep(0.005)
            return 0
        documents = [document(message.routing_key.split(".")[1], message.body) for message in batch]
        await asyncio.to_thread(readings.insert_many, documents, ordered=False)
        await batch[-1].ack(multiple=True)
        return len(batch)

    yield 0
    connection = loop.run_until_complete(open_connection())
    try:
        while True:
            yield loop.run_until_complete(store())
    finally:
        loop.run_until_complete(connection.close())
        loop.close()
