"""The parts of a cluster that are killed: workers, APIs, stream services, scheduler, broker, and
the primary of the database, which may also step down."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from tests.cluster.whole import Whole
from tests.faults.parts import Part
from tests.faults.storm import Storm
from tests.faults.world import World
from tests.helpers.brokers import Redis
from tests.helpers.replica_set import Members
from tests.helpers.scheduler import Started

DOWN_S = (0.0, 10.0)
START_S = 20.0
"""Time that a part is left alone after its return, and the others of its group while it is away."""


class Service(Part):
    """A process that the cluster has started, and ends; or Redis, which forgets everything when it
    is killed. `group`: of those that stand in for each other."""

    returned_at = -START_S

    def __init__(self, world: World, name: str, started: Started | Redis | None) -> None:
        super().__init__(world, name)
        self.wanted = True
        self.group = name.rstrip("-0123456789")
        self._started = started

    @property
    def running(self) -> bool:
        return self._started.is_running

    def start(self) -> None:
        self._started.start()

    def stop(self) -> None:
        self.wanted = False

    def bring_back(self) -> None:
        if not self.running:
            self.start()
        self.back_at = None
        self.returned_at = time.monotonic()
        self.world.note("storm", "back", of=self.name)

    def _stop_at_once(self) -> None:
        self._started.kill()


class Primary(Service):
    """The member of the database that takes the writes: killed, or told to step down. It is back
    when the set is complete again."""

    def __init__(self, world: World, members: Members) -> None:
        super().__init__(world, "primary", None)
        self._members = members
        self._killed: int | None = None

    @property
    def running(self) -> bool:
        return self._killed is None

    def start(self) -> None:
        if self._killed is not None:
            self._members.start(self._killed)
        self._killed = None
        self._members.await_all()

    def step_down(self, now: float) -> None:
        """Let another member take its place, and wait until it has."""
        self._hit("step down", now, 0.0)
        try:
            self._members.step_down()
        except PyMongoError as fault:  # no member is near enough
            self.world.note("storm", "refused", of=self.name, why=str(fault))
        self._members.await_all()

    def _stop_at_once(self) -> None:
        self._killed = self._members.kill_primary()


@dataclass
class ClusterStorm(Storm):
    """Kills one part of each group at a time, as machines are lost, and lets it start again."""

    parts: Sequence[Service]

    def _strike(self, chance: random.Random, now: float) -> None:
        group = chance.choice(sorted({part.group for part in self.parts}))
        others = [part for part in self.parts if part.group == group]
        part = chance.choice(others)
        down = chance.uniform(*DOWN_S)
        if any(one.is_hit or one.returned_at > now - START_S for one in others):
            return
        if isinstance(part, Primary) and chance.random() < 0.5:
            part.step_down(now)
        else:
            part.kill(now, down)


def all_parts(world: World, whole: Whole) -> list[Service]:
    """Return everything that may be lost."""
    scheduler = whole.cluster.airflow.parts["airflow-scheduler"]
    started = {**whole.cluster.workers, **whole.services, "scheduler": scheduler}
    started.pop("mlflow")
    started["broker"] = whole.cluster.redis
    return [
        Primary(world, whole.members),
        *(Service(world, name, one) for name, one in started.items()),
    ]
