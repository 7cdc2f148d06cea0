"""A line that publishes readings and goes on until the broker has confirmed each: a second after
it, or a minute."""

import asyncio
import json
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import nats
import numpy as np

from alerting.ports import ReadingRow
from tests.faults.streamed.parts import STREAM, SUBJECT

STEP_S = 0.5
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
            client = await nats.connect(
                self._address, allow_reconnect=False, connect_timeout=2, error_cb=_ignore
            )
        except Exception:  # the broker is away: what waits is sent later
            await asyncio.sleep(0.2)
            return
        try:
            while self._waiting and client.is_connected:
                taken = self._waiting[:200]
                self._waiting = self._waiting[200:]
                results = await asyncio.gather(
                    *(self._send(client, one) for one in taken), return_exceptions=True
                )
                again = [
                    one for one, result in zip(taken, results, strict=True) if result is not None
                ]
                self.repeated += len(again)
                self._waiting = again + self._waiting
                if again:
                    return
        finally:
            await client.close()

    async def _send(self, client, one: Sent) -> None:
        asset, ts, values = one
        row = json.dumps({"ts": ts.isoformat(), "values": values}).encode()
        await client.jetstream(timeout=2).publish(
            self.subject.replace("{asset}", asset), row, stream=STREAM
        )
        self.sent[asset, ts] = values

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


async def _ignore(_: Exception) -> None:
    """Take faults of the connection, which the line answers by sending again."""


def documents() -> Mapping[str, str]:
    return {
        "name": "line",
        "kind": "nats",
        "url": {"env": "BROKER_URL"},
        "topic": SUBJECT,
        "latency": "1s",
    }
