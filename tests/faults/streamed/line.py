"""A line that publishes readings and goes on until the broker has confirmed each: a second after
it, or a minute."""

import asyncio
import json
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pika
from pika.exceptions import AMQPError

from alerting.ports import ReadingRow
from tests.faults.streamed.parts import SUBJECT

STEP_S = 0.5
CONNECT_S = 2
HEARTBEAT_S = 4
Sent = tuple[str, datetime, Mapping[str, float]]
"""Asset, instant and values of a reading."""
ASSETS = 40
WITH_ALERTS = 10
NORMAL = 200.0
HOT = 230.0
DEFINITIONS = [
    {
        "name": "hot",
        "kind": "threshold",
        "assets": ["oven-*"],
        "variable": "temperature",
        "above": 215,
        "severity": "critical",
    },
    {
        "name": "hot-for-long",
        "kind": "threshold",
        "assets": ["oven-*"],
        "variable": "temperature",
        "levels": {"medium": {"above": 215, "clear_above_at": 212}, "critical": {"above": 225}},
        "for": "2s",
        "clear_for": "2s",
    },
]


class Line:
    """Readings of all assets each STEP_S from a seed; `sent`: by asset and instant, the values that
    the broker has confirmed. An oven is hot every `hot_every_s` on average, for at most
    `longest_steps`."""

    hot_every_s = 10.0
    longest_steps = 17
    subject = SUBJECT
    steps_at_end = 1

    def __init__(self, address: str, seed: int) -> None:
        self._address = address
        self._random = np.random.default_rng(seed)
        self.sent: dict[tuple[str, datetime], Mapping[str, float]] = {}
        self.repeated = 0
        self._waiting: list[Sent] = []
        self._hot_until = np.zeros(ASSETS, np.int64)
        self._step = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._publish()), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Send the last readings of every asset, which are normal, so that every episode ends."""
        self._ended.set()

    @property
    def is_over(self) -> bool:
        return self._ended.is_set() and not self._thread.is_alive()

    def rows(self) -> list[ReadingRow]:
        return [ReadingRow(asset, ts, dict(values)) for (asset, ts), values in self.sent.items()]

    async def _publish(self) -> None:
        began = time.monotonic()
        left = self.steps_at_end
        while self._waiting or left:
            if left:
                is_last = self._ended.is_set()
                self._waiting += self._readings(normal=is_last)
                left -= is_last
            await self._connect_and_send()
            await asyncio.sleep(max(0.0, began + self._step * STEP_S - time.monotonic()))

    async def _connect_and_send(self) -> None:
        try:
            await asyncio.to_thread(self._publish_waiting)
        except (AMQPError, OSError):  # the broker is away: what waits is sent later
            await asyncio.sleep(0.2)

    def _publish_waiting(self) -> None:
        parameters = pika.URLParameters(f"{self._address}/%2F")
        parameters.socket_timeout = parameters.stack_timeout = CONNECT_S
        parameters.heartbeat = HEARTBEAT_S
        with pika.BlockingConnection(parameters) as connection:
            channel = connection.channel()
            channel.tx_select()
            unbound: set[str] = set()
            channel.add_on_return_callback(lambda _, __, about, ___: unbound.add(about.message_id))
            while self._waiting and not unbound:
                taken = self._waiting[:200]
                self.repeated += len(taken)
                for number, (asset, ts, values) in enumerate(taken):
                    channel.basic_publish(
                        "amq.topic",
                        self.subject.replace("{asset}", asset),
                        json.dumps({"ts": ts.isoformat(), "values": values}).encode(),
                        pika.BasicProperties(delivery_mode=2, message_id=str(number)),
                        mandatory=True,
                    )
                channel.tx_commit()  # answered once all are stored
                connection.process_data_events(0)
                again = [one for i, one in enumerate(taken) if str(i) in unbound]
                self.sent |= {
                    (asset, ts): values
                    for i, (asset, ts, values) in enumerate(taken)
                    if str(i) not in unbound
                }
                self.repeated -= len(taken) - len(again)
                self._waiting = again + self._waiting[200:]

    def _readings(self, *, normal: bool) -> list[Sent]:
        """Return readings of now; now and then an oven is hot for a while."""
        self._step += 1
        starts = self._random.random(ASSETS) < STEP_S / self.hot_every_s
        lengths = self._random.integers(2, self.longest_steps, ASSETS)
        self._hot_until = np.where(starts, self._step + lengths, self._hot_until)
        now = instant_of_now()
        hot = (self._hot_until > self._step) & (not normal)
        values = np.where(hot, HOT, NORMAL) + np.arange(ASSETS) / 100
        return [
            (_name(i), now, {"temperature": round(value, 2)})
            for i, value in enumerate(values.tolist())
        ]


def instant_of_now() -> datetime:
    """Return the present millisecond."""
    now = datetime.now(UTC)
    return now - timedelta(microseconds=now.microsecond % 1000)


def _name(number: int) -> str:
    return f"oven-{number}" if number < WITH_ALERTS else f"load-{number}"


def documents() -> Mapping[str, str]:
    return {
        "name": "line",
        "kind": "amqp",
        "url": {"env": "BROKER_URL"},
        "topic": SUBJECT,
        "latency": "1s",
    }
