"""The processes that are killed and frozen, and how each is brought back."""

import ctypes
import importlib
import multiprocessing
import os
import signal
import time
from abc import ABC, abstractmethod
from collections import Counter
from multiprocessing.context import ForkServerProcess
from typing import Any

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from tests.faults.world import World

MODULES = ("plant", "evaluator", "notifier", "mail", "hook")
START_S = 300.0
"""Time in which the database must be back after a kill: it replays its journal, on a machine that
may be busy with other work."""
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Part(ABC):
    """One process. `back_at`: when it is brought back (s of the monotonic clock), None while it
    runs."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.back_at: float | None = None
        self.wanted = False
        self.counts: Counter[str] = Counter()

    @property
    def is_hit(self) -> bool:
        return self.back_at is not None

    def kill(self, now: float, lasting: float) -> None:
        self._hit("kill", now, lasting)
        self._stop_at_once()

    def freeze(self, now: float, lasting: float) -> None:
        self._hit("freeze", now, lasting)
        os.kill(self.pid, signal.SIGSTOP)

    def bring_back(self, now: float) -> None:
        if self.running:
            os.kill(self.pid, signal.SIGCONT)
        else:
            self.start()
        self.back_at = None
        self.world.note("storm", "back", of=self.name)

    def wait_for_a_delivery(self, seconds: float) -> None:
        """Wait until this process is in the middle of a delivery; at most so long, and not at all
        where it makes none."""
        over = time.monotonic() + seconds
        while (
            self.world.last_note(self.name).get("what") in ("round", "done", "failed")
            and time.monotonic() < over
        ):
            if not self.name.startswith("notifier"):
                return
            time.sleep(0.01)

    def tend(self, now: float) -> None:
        """Bring it back when its time has come; start it again where it ended by itself, which is a
        fault of ours."""
        if self.back_at is not None and now >= self.back_at:
            self.bring_back(now)
        elif self.back_at is None and self.wanted and not self.running:
            self.counts["ended by itself"] += 1
            self.start()

    def _hit(self, how: str, now: float, lasting: float) -> None:
        self.world.note("storm", how, of=self.name)
        self.counts[how] += 1
        self.back_at = now + lasting

    @property
    @abstractmethod
    def pid(self) -> int: ...

    @property
    @abstractmethod
    def running(self) -> bool: ...

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    @abstractmethod
    def _stop_at_once(self) -> None: ...


class Program(Part):
    """A module of this folder as a process of its own, forked off a server that has imported
    everything: it starts at once."""

    def __init__(self, world: World, name: str, module: str) -> None:
        super().__init__(world, name)
        self._module = module
        self._process: ForkServerProcess | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def start(self) -> None:
        self.wanted = True
        arguments = (self._module, self.world.folder, self.name)
        self._process = _forking().Process(target=_run, args=arguments, daemon=True)
        self._process.start()

    def stop(self) -> None:
        self.wanted = False
        if self.running:
            self._stop_at_once()

    def _stop_at_once(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.join()


def _forking() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"tests.faults.{module}" for module in MODULES])
    return context


def _run(module: str, folder: str, name: str) -> None:
    """In the new process, which ends with the server that it was forked off, as that ends with the
    test."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    errors = os.open(
        World.read(folder).path(f"{name}.err"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
    )
    os.dup2(errors, 1)
    os.dup2(errors, 2)
    importlib.import_module(f"tests.faults.{module}").main(folder, name)


class Database(Part):
    """The database server."""

    def __init__(self, world: World) -> None:
        super().__init__(world, "mongod")
        self._server = EmbeddedMongod(world.path("mongod"), world.mongod_port)
        self._started = False

    @property
    def pid(self) -> int:
        return self._server.pid

    @property
    def running(self) -> bool:
        return self._started

    def start(self) -> None:
        self._server.start(START_S)
        self._started = True

    def stop(self) -> None:
        self._server.stop()
        self._started = False

    def _stop_at_once(self) -> None:
        os.kill(self._server.pid, signal.SIGKILL)
        self.stop()


def all_parts(world: World) -> list[Part]:
    """In the order in which they start, the database first."""
    twice = [(f"{module}-{n}", module) for module in ("evaluator", "notifier") for n in (1, 2)]
    return [
        Database(world),
        *(
            Program(world, *named)
            for named in [("plant", "plant"), ("mail", "mail"), ("hook", "hook"), *twice]
        ),
    ]
