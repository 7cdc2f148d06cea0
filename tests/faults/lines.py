"""Lines that send readings and go on until each is confirmed: by a broker, or by HTTP.

Plain lines are hot now and then. Humid ones have models: they are humid at random times, after
which the moisture leaves its limit, or does not; their speed and dough are unusual now and then.
Readings of quick lines are evaluated after a second, so that many come late in a storm. Those of
steady lines are waited for, so that none does. Those of sent lines come by HTTP.
"""

import asyncio
import json
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pika
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError

from alerting.client import ApiProblem, Client
from alerting.definitions.asset_documents import Asset, Variable
from benchmarks.helpers import modelled_lines

SUBJECT = "line-3.{asset}.readings"
STEADY_SUBJECT = "line-4.{asset}.readings"
STEP_S = 0.5
CONNECT_S = 2
HEARTBEAT_S = 4
AT_ONCE = {"amqp": 200, "http": 400}
Sent = tuple[str, datetime, Mapping[str, float]]
"""Asset, instant and values of a reading."""
ASSETS = 40
WITH_ALERTS = 10
NORMAL = 200.0
HOT = 230.0
QUICK = ("quick-1", "quick-2")
STEADY = ("steady-1", "steady-2")
SENT = ("sent-1", "sent-2")
STEADY_SOURCE = "steady"
LATENCY_S = dict.fromkeys(QUICK, 1) | dict.fromkeys(STEADY, 90) | dict.fromkeys(SENT, 2)
"""How long the evaluation of a line waits for its readings."""
UNUSUAL = {"humidity": modelled_lines.HUMID, "moisture": 1.6, "speed": 6.0, "dough": 20.0}
"""What is added to a variable while it is unusual."""
QUIET_S = 60.0
USUAL_S = 45.0
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
CLASSIFIERS = {"moist-quick": "quick-*", "moist-steady": "steady-*", "moist-sent": "sent-*"}
_UNTRAINED = {"schedule": {"retrain": None}, "severity": "high"}
MODELS: Sequence[Mapping[str, Any]] = [
    *(modelled_lines.classifier(name, assets) for name, assets in CLASSIFIERS.items()),
    {
        "name": "moved",
        "kind": "control_chart",
        "assets": ["quick-1", "steady-1"],
        "variable": "speed",
        "chart": "ewma",
        **_UNTRAINED,
    },
    {
        "name": "unlike",
        "kind": "anomaly",
        "assets": ["quick-2", "steady-2"],
        "windows": ["20s"],
        **_UNTRAINED,
    },
]
LINE_SOURCE = {
    "name": "line",
    "kind": "amqp",
    "url": {"env": "BROKER_URL"},
    "topic": SUBJECT,
    "latency": "1s",
}
SOURCES = [
    LINE_SOURCE,
    {**LINE_SOURCE, "name": STEADY_SOURCE, "topic": STEADY_SUBJECT, "latency": "90s"},
]


class Line:
    """Readings of all assets each STEP_S from a seed, published; `sent`: by asset and instant, the
    values that the broker has confirmed. An oven is hot every `hot_every_s` on average, for at most
    `longest_steps`."""

    hot_every_s = 10.0
    longest_steps = 17
    steps_at_end = 1

    def __init__(self, address: str, seed: int, subject: str = SUBJECT) -> None:
        self._address = address
        self._subject = subject
        self._random = np.random.default_rng(seed)
        self.sent: dict[tuple[str, datetime], Mapping[str, float]] = {}
        self.repeated = 0
        self._waiting: list[Sent] = []
        self._hot_until = np.zeros(ASSETS, np.int64)
        self._step = 0
        self.is_over = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._publish()), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Send the last readings of every asset, which are normal, so that every episode ends."""
        self._ended.set()

    async def _publish(self) -> None:
        began = time.monotonic()
        left = self.steps_at_end
        while self._waiting or left:
            if left:
                is_last = self._ended.is_set()
                self._step += 1
                self._waiting += self._readings(normal=is_last)
                left -= is_last
            await self._connect_and_send()
            await asyncio.sleep(max(0.0, began + self._step * STEP_S - time.monotonic()))
        self.is_over = True

    async def _connect_and_send(self) -> None:
        try:
            await asyncio.to_thread(self._publish_waiting)
        except (
            AMQPError,
            AMQPConnectorException,
            OSError,
        ):  # the broker is away: what waits is sent later
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
                taken = self._waiting[: AT_ONCE["amqp"]]
                self.repeated += len(taken)
                for number, (asset, ts, values) in enumerate(taken):
                    channel.basic_publish(
                        "amq.topic",
                        self._subject.replace("{asset}", asset),
                        json.dumps({"ts": ts.isoformat(), "values": values}).encode(),
                        pika.BasicProperties(delivery_mode=2, message_id=str(number)),
                        mandatory=True,
                    )
                channel.tx_commit()  # answered once all are stored
                connection.process_data_events(0)
                again = [one for i, one in enumerate(taken) if str(i) in unbound]
                self._confirm([one for i, one in enumerate(taken) if str(i) not in unbound])
                self.repeated -= len(taken) - len(again)
                self._waiting = again + self._waiting[len(taken) :]

    def _confirm(self, taken: Sequence[Sent]) -> None:
        self.sent |= {(asset, ts): values for asset, ts, values in taken}

    def _readings(self, *, normal: bool) -> list[Sent]:
        """Return readings of now; now and then an oven is hot for a while."""
        starts = self._random.random(ASSETS) < STEP_S / self.hot_every_s
        lengths = self._random.integers(2, self.longest_steps, ASSETS)
        self._hot_until = np.where(starts, self._step + lengths, self._hot_until)
        now = instant_of_now()
        hot = (self._hot_until > self._step) & (not normal)
        values = np.where(hot, HOT, NORMAL) + np.arange(ASSETS) / 100
        return [
            (name_of(i), now, {"temperature": round(value, 2)})
            for i, value in enumerate(values.tolist())
        ]


class SendingLine(Line):
    """Readings sent by HTTP to the APIs in turn, each until one has stored it. `answered`: how many
    requests each API answered."""

    hot_every_s = 60.0
    longest_steps = 240

    def __init__(self, apis: Sequence[Client], seed: int) -> None:
        super().__init__("", seed)
        self._apis = apis
        self._turn = 0
        self.answered = [0] * len(apis)

    async def _connect_and_send(self) -> None:
        taken = self._waiting[: AT_ONCE["http"]]
        rows = [
            {"ts": ts.isoformat(), "asset": asset, "values": values} for asset, ts, values in taken
        ]
        self._turn = (self._turn + 1) % len(self._apis)
        try:
            answer = await asyncio.to_thread(self._apis[self._turn].send_readings, rows)
        except (ApiProblem, ConnectionError):  # this API is away, or its database
            self.repeated += len(taken)
            return
        assert not answer["refused"], answer
        self.answered[self._turn] += 1
        self._confirm(taken)
        self._waiting = self._waiting[len(taken) :]


class HumidLine(Line):
    """Readings of lines that get humid. The moisture follows in two of three times."""

    steps_at_end = int(QUIET_S / STEP_S)

    def __init__(self, assets: Sequence[str], *where: Any) -> None:
        super().__init__(*where)
        self.assets = assets
        self._unusual: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
        """By asset and variable, the steps from and to which it is unusual."""

    def _readings(self, *, normal: bool) -> list[Sent]:
        now = instant_of_now()
        found = []
        for asset in self.assets:
            self._go_on(asset)
            usual = modelled_lines.usual(self._random, 1)
            values = {name: float(column[0]) for name, column in usual.items()}
            for name, added in UNUSUAL.items():
                begin, end = self._unusual[asset, name]
                values[name] += added * (begin <= self._step < end and not normal)
            found.append((asset, now, values))
        return found

    def _go_on(self, asset: str) -> None:
        """Begin, now and then, another time of humid air and of other unusual values."""
        for name in ("humidity", "speed", "dough"):
            since = ("humidity", "moisture") if name == "humidity" else (name,)
            over = max(self._unusual[asset, one][1] for one in since)
            if self._step <= over or self._random.random() >= STEP_S / USUAL_S:
                continue
            self._unusual[asset, name] = (self._step, self._step + self._steps(8, 30))
            if name == "humidity" and self._random.random() < 2 / 3:
                begin = self._step + self._steps(8, 20)
                self._unusual[asset, "moisture"] = (begin, begin + self._steps(6, 22))

    def _steps(self, least_s: float, most_s: float) -> int:
        return int(self._random.uniform(least_s, most_s) / STEP_S)


class SentLine(HumidLine, SendingLine):
    """Those that come by HTTP."""


class Lines:
    """Several lines as one."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines

    def start(self) -> None:
        for line in self._lines:
            line.start()

    def end(self) -> None:
        for line in self._lines:
            line.end()

    @property
    def is_over(self) -> bool:
        return all(line.is_over for line in self._lines)

    @property
    def sent(self) -> Mapping[tuple[str, datetime], Mapping[str, float]]:
        """Return the confirmed readings of all, by asset and instant."""
        return {key: values for line in self._lines for key, values in list(line.sent.items())}

    @property
    def repeated(self) -> int:
        return sum(line.repeated for line in self._lines)


def all_lines(address: str, api: Client, seed: int) -> Lines:
    """Return the lines with thresholds, and those with models."""
    quick = HumidLine(QUICK, address, seed + 1000)
    steady = HumidLine(STEADY, address, seed + 2000, STEADY_SUBJECT)
    return Lines([Line(address, seed), quick, steady, SentLine(SENT, [api], seed + 3000)])


def plain_assets(source: str | None) -> list[Asset]:
    """Return the assets of plain lines, whose readings come from a source, else by the API."""
    variables = {"temperature": Variable(source=source)}
    return [Asset(name=name_of(i), variables=variables) for i in range(ASSETS)]


def humid_assets() -> list[Asset]:
    """Return the assets of lines with models."""
    come = {
        QUICK: Variable(source="line"),
        STEADY: Variable(source=STEADY_SOURCE),
        SENT: Variable(latency="2s"),
    }
    return [
        Asset(name=name, variables=dict.fromkeys(modelled_lines.VARIABLES, one))
        for names, one in come.items()
        for name in names
    ]


def instant_of_now() -> datetime:
    """Return the present millisecond."""
    now = datetime.now(UTC)
    return now - timedelta(microseconds=now.microsecond % 1000)


def name_of(number: int) -> str:
    return f"oven-{number}" if number < WITH_ALERTS else f"load-{number}"
