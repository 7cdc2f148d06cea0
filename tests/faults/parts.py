"""The processes that are killed and frozen, and how each is brought back."""

import ctypes
import importlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.client import Client
from alerting.local.prepare import load_or_create
from alerting.settings.environment import variable
from benchmarks.helpers.ports import await_port
from tests.faults.world import World
from tests.helpers.rabbitmq import PROGRAM, Rabbit
from tests.support import free_port

MODULES = ("plant", "rounds", "receivers")
START_S = 300.0
"""Time in which the database must be back after a kill: it replays its journal, on a machine that
may be busy with other work."""
BUSY_S = {"notifier": 0.0, "scheduler": 0.3}
"""Who notes that it has begun a delivery or tick, and how long after that it may be killed."""
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Part:
    """One process. `back_at`: when it is brought back (s of the monotonic clock), None while it
    runs."""

    _process: Any = None

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.back_at: float | None = None
        self.wanted = False
        self.counts: Counter[str] = Counter()

    @property
    def is_hit(self) -> bool:
        return self.back_at is not None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        self.wanted = True
        self._process = self._begin()

    def stop(self) -> None:
        self.wanted = False
        if self.running:
            self._stop_at_once()

    def kill(self, now: float, lasting: float) -> None:
        self._hit("kill", now, lasting)
        self._stop_at_once()

    def freeze(self, now: float, lasting: float) -> None:
        self._hit("freeze", now, lasting)
        os.kill(self.pid, signal.SIGSTOP)

    def bring_back(self) -> None:
        if self.running:
            os.kill(self.pid, signal.SIGCONT)
        else:
            self.start()
        self.back_at = None
        self.world.note("storm", "back", of=self.name)

    def wait_until_busy(self, seconds: float) -> None:
        """Wait until this process is in the middle of a delivery or tick; at most so long, and not
        at all where it has none."""
        busy_s = BUSY_S.get(self.name.partition("-")[0])
        over = time.monotonic() + seconds
        if busy_s is not None:
            while (
                self.world.last_note(self.name).get("what") != "begun" and time.monotonic() < over
            ):
                time.sleep(0.01)
            time.sleep(random.uniform(0.0, busy_s))

    def tend(self, now: float) -> None:
        """Bring it back when its time has come; start it again where it ended by itself, which is a
        fault of ours."""
        if self.back_at is not None and now >= self.back_at:
            self.bring_back()
        elif self.back_at is None and self.wanted and not self.running:
            self.counts["ended by itself"] += 1
            self.start()

    def _hit(self, how: str, now: float, lasting: float) -> None:
        self.world.note("storm", how, of=self.name)
        self.counts[how] += 1
        self.back_at = now + lasting

    def _stop_at_once(self) -> None:
        self._process.kill()
        self._process.wait()


class Program(Part):
    """A module of this folder as a process of its own, forked off a server that has imported
    everything: it starts at once."""

    def __init__(self, world: World, name: str, module: str) -> None:
        super().__init__(world, name)
        self._module = module

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def _begin(self) -> Any:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([f"tests.faults.{module}" for module in MODULES])
        arguments = (self._module, self.world.folder, self.name)
        process = context.Process(target=_run, args=arguments, daemon=True)
        process.start()
        return process

    def _stop_at_once(self) -> None:
        self._process.kill()
        self._process.join()


def _run(module: str, folder: str, name: str) -> None:
    """In the new process, which ends with the server that it was forked off, as that ends with the
    test."""
    _die_with_parent()
    with World.read(folder).path(f"{name}.err").open("ab") as errors:
        os.dup2(errors.fileno(), 1)
        os.dup2(errors.fileno(), 2)
    importlib.import_module(f"tests.faults.{module}").main(folder, name)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


class Database(Part):
    """The database server."""

    running = False

    def __init__(self, world: World) -> None:
        super().__init__(world, "mongod")
        self._server = EmbeddedMongod(world.path("mongod"), world.mongod_port)

    @property
    def pid(self) -> int:
        return self._server.pid

    def start(self) -> None:
        self._server.start(START_S)
        self.running = True

    def stop(self) -> None:
        self._server.stop()
        self.running = False

    def _stop_at_once(self) -> None:
        os.kill(self._server.pid, signal.SIGKILL)
        self.stop()


class Command(Part):
    """A command as a process of its own; its output goes to a file of the run."""

    def __init__(
        self, world: World, name: str, command: Sequence[str], environ: Mapping[str, str]
    ) -> None:
        super().__init__(world, name)
        self._command = list(command)
        self._environ = {**os.environ, **environ}

    def _begin(self) -> Any:
        with self.world.path(f"{self.name}.out").open("ab") as out:
            return subprocess.Popen(
                self._command,
                env=self._environ,
                stdout=out,
                stderr=out,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - as in the other parts, to end with the test
            )


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
        self.address = self._rabbit.address
        self._names = Command(world, "epmd", [self._rabbit.epmd], environ)

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

    def __init__(self, world: World, environ: Mapping[str, str]) -> None:
        port = free_port()
        secrets = load_or_create(world.path("home") / "secrets")
        own = {
            variable("api_tokens_file"): str(secrets.tokens_file),
            variable("api_port"): str(port),
        }
        command = [sys.executable, "-m", "alerting.console.serve"]
        super().__init__(world, "api", command, {**environ, **own})
        self.client = Client(f"http://127.0.0.1:{port}", secrets.api_tokens["engineer"])

    def tend(self, now: float) -> None:
        if self.back_at is None and self.wanted and not self.running:
            lines = self.world.path(f"{self.name}.out").read_text().splitlines()
            if lines and lines[-1].startswith("refused: the database"):
                self.counts["started without a database"] += 1
                self.start()
        super().tend(now)


def plant_parts(world: World) -> list[Part]:
    """Return the parts of the simulated plant in the order in which they start, the database
    first."""
    twice = [(f"{role}-{n}", "rounds") for role in ("evaluator", "notifier") for n in (1, 2)]
    named = [("plant", "plant"), ("mail", "receivers"), ("hook", "receivers"), *twice]
    return [Database(world), *(Program(world, *one) for one in named)]


def stream_parts(world: World, broker: Broker) -> list[Part]:
    """Return the parts of the line with streams beside database and broker, in the order in which
    they start."""
    environ = {
        **world.environ,
        "BROKER_URL": broker.address,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "alerting.cli.main", "stream"]
    return [
        Program(world, "hook", "receivers"),
        Api(world, environ),
        *(Command(world, f"stream-{n}", command, environ) for n in (1, 2)),
        Program(world, "scheduler", "rounds"),
    ]
