"""The processes of the fault test of streams: broker, database, two stream services, API, and the
rounds of the scheduler."""

import ctypes
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from alerting.client import Client
from alerting.local.secrets import load_or_create
from alerting.settings.environment import variable
from benchmarks.helpers.ports import await_port
from tests.faults.parts import Database, Part, Program
from tests.faults.storm import Storm
from tests.faults.world import World
from tests.helpers.rabbitmq import PROGRAM, Rabbit
from tests.support import free_port

SUBJECT = "line-3.{asset}.readings"
STEADY_SUBJECT = "line-4.{asset}.readings"
LONGEST_SHARD_S = 0.3
TURNS = 0.06
"""Share of the attacks that stop all services, all rounds, or both."""
AWAY_S = (8.0, 30.0)
_STOPPED: Sequence[tuple[str, ...]] = (("stream",), ("scheduler",), ("stream", "scheduler"))
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Command(Part):
    """A command as a process of its own; its output goes to a file of the run."""

    def __init__(
        self, world: World, name: str, command: Sequence[str], environ: Mapping[str, str]
    ) -> None:
        super().__init__(world, name)
        self._command = list(command)
        self._environ = {**os.environ, **environ}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        self.wanted = True
        with self.world.path(f"{self.name}.out").open("ab") as out:
            self._process = subprocess.Popen(
                self._command,
                env=self._environ,
                stdout=out,
                stderr=out,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - as in the other parts, to end with the test
            )

    def stop(self) -> None:
        self.wanted = False
        if self.running:
            os.kill(self.pid, signal.SIGCONT)
            self._stop_at_once()

    def _stop_at_once(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


class Broker(Command):
    """A RabbitMQ that has stored messages of durable queues before it confirms them: a kill loses
    none."""

    def __init__(self, world: World) -> None:
        folder = world.path("rabbitmq")
        folder.mkdir()
        try:
            self._rabbit = Rabbit(folder)
        except FileNotFoundError as missing:
            raise SystemExit(str(missing)) from missing
        environ = self._rabbit.environment
        super().__init__(world, "broker", [str(PROGRAM)], environ)
        self._names = Command(world, "epmd", [self._rabbit.epmd], environ)

    @property
    def address(self) -> str:
        return self._rabbit.address

    def start(self) -> None:
        if not self._names.running:
            self._names.start()
        super().start()

    def stop(self) -> None:
        super().stop()
        self._names.stop()

    def await_start(self) -> None:
        await_port(self._rabbit.port, 120.0)


class Api(Command):
    """The API, to which programs send readings. Without a database it does not start, and is
    started again by what supervises it."""

    _REFUSED = "refused: the database"

    def __init__(self, world: World, port: int, environ: Mapping[str, str]) -> None:
        secrets = load_or_create(world.path("home") / "secrets")
        own = {
            variable("api_tokens_file"): str(secrets.tokens_file),
            variable("api_port"): str(port),
        }
        command = [sys.executable, "-m", "alerting.console.serve"]
        super().__init__(world, "api", command, {**environ, **own})
        self.client = Client(f"http://127.0.0.1:{port}", secrets.api_tokens["engineer"])

    def tend(self, now: float) -> None:
        if self.back_at is None and self.wanted and not self.running and self._has_refused():
            self.counts["started without a database"] += 1
            self.start()
        super().tend(now)

    def _has_refused(self) -> bool:
        lines = self.world.path(f"{self.name}.out").read_text().splitlines()
        return bool(lines) and lines[-1].startswith(self._REFUSED)


class Scheduler(Program):
    """The ticks of the scheduler."""

    def wait_for_a_delivery(self, seconds: float) -> None:
        """Wait until it is in the middle of a tick, at most so long."""
        over = time.monotonic() + seconds
        while self.world.last_note(self.name).get("what") != "begun" and time.monotonic() < over:
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, LONGEST_SHARD_S))


def all_parts(world: World, database: Database, broker: Broker) -> list[Part]:
    """In the order in which they start; the database runs already, as it makes its own login."""
    environ = {
        **world.environ,
        "BROKER_URL": broker.address,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "alerting.cli.main", "stream"]
    streams = [Command(world, f"stream-{n}", command, environ) for n in (1, 2)]
    return [
        database,
        broker,
        Program(world, "hook", "hook"),
        Api(world, free_port(), environ),
        *streams,
        Scheduler(world, "scheduler", "streamed.ticks"),
    ]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


@dataclass
class StreamStorm(Storm):
    """Now and then kills all stream services, the rounds of the scheduler, or both, for some
    time. `turns`: how often, by what was away."""

    turns: Counter[str] = field(default_factory=Counter)

    def _strike(self, chance: random.Random, now: float) -> None:
        if chance.random() >= TURNS:
            super()._strike(chance, now)
            return
        names = chance.choice(_STOPPED)
        away = chance.uniform(*AWAY_S)
        self.turns[" and ".join(names)] += 1
        for part in self.parts:
            if part.name.startswith(names):
                if part.is_hit:
                    part.bring_back(now)
                part.kill(now, away)
